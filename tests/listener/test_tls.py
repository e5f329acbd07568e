"""Real TLS on loopback: who is let in, and what the offer says about the issuing CA."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.config.settings import Limits, ListenerSettings
from collector.simulate.authority import Issued, issue, make_authority
from tests.listener.speaking import IDENTIFY, Place, corridor_in, enumerate_, listening

NOW = datetime.now(UTC)  # noqa: TID251 - OpenSSL reads the real clock


def write(folder: Path, name: str, issued: Issued) -> Path:
    (folder / f"{name}.key").write_bytes(issued.key_pem())
    (folder / f"{name}.pem").write_bytes(issued.pem())
    return folder / f"{name}.pem"


class Lab:
    """Two CAs of one name, as in the middle of a renewal, and a server certificate of the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old, self.new = make_authority("Lab CA", NOW), make_authority("Lab CA", NOW)
        self.server = write(folder, "server", issue(self.old, ["localhost"], server=True, now=NOW))
        self.trusted = [write(folder, "old", self.old), write(folder, "new", self.new)]

    def settings(self) -> ListenerSettings:
        return ListenerSettings.model_construct(
            transport="https", address="127.0.0.1", port=0, hostname=None, public_port=None,
            authentication=["certificate"], certificate=self.server, key=self.server.with_suffix(".key"),
            client_ca=self.trusted, crl=[], keytab=None,
        )  # fmt: skip

    def client(self, issuer: Issued | None, name: str = "ws-1.corp.example", *, server: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.trusted[0]))
        if issuer is not None:
            made = write(self.folder, f"{name}-{id(issuer)}-{server}", issue(issuer, [name], server=server, now=NOW))
            context.load_cert_chain(made, made.with_suffix(".key"))
        return context


async def enumerated(place: Place, context: ssl.SSLContext) -> bytes:
    answer = await (await place.call(context)).post(enumerate_())
    assert answer.status == 200
    return answer.body


async def test_the_offer_names_the_ca_that_issued_this_clients_certificate(tmp_path: Path) -> None:
    """The source looks for a certificate of that issuer when it delivers; another thumbprint ends in 2150858882."""
    lab = Lab(tmp_path)
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        for issuer in (lab.old, lab.new):
            body = await enumerated(place, lab.client(issuer))
            assert f'<auth:Thumbprint Role="issuer">{issuer.thumbprint}<'.lower() in body.decode().lower()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_is_the_same_caller_with_the_same_ca(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """OpenSSL hides the verified chain of a resumed session, and Windows resumes."""
    lab = Lab(tmp_path)
    context = lab.client(lab.new)
    context.maximum_version = version
    session: ssl.SSLSession | None = None
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        for resumed in (False, True):
            answer, session, reused = await asyncio.to_thread(speak, place.port, context, session)
            assert reused is resumed
            assert lab.new.thumbprint.lower() in answer.lower()


def speak(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[str, ssl.SSLSession | None, bool]:
    """One Enumerate over a blocking socket, which unlike asyncio can be told to resume a session."""
    text = enumerate_().encode()
    head = f"POST /wsman HTTP/1.1\r\nHost: wec\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
    ):
        secure.sendall(head.encode() + text)
        received = b"".join(iter(lambda: secure.recv(65536), b""))
        return received.decode(), secure.session, bool(secure.session_reused)


async def test_without_a_certificate_there_is_401_and_identify(tmp_path: Path) -> None:
    """A reason that an administrator can find, and an answer for Test-WSMan."""
    lab = Lab(tmp_path)
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        context = lab.client(None)
        refused = await (await place.call(context)).post(enumerate_())
        known = await (await place.call(context)).post(IDENTIFY, WSMANIDENTIFY="unauthenticated")
        smuggled = await (await place.call(context)).post(enumerate_(), WSMANIDENTIFY="unauthenticated")

    assert (refused.status, smuggled.status) == (401, 401)
    assert known.status == 200
    assert b"ProductVersion" not in known.body or b"0.1" not in known.body


async def test_who_has_proven_nothing_does_not_keep_a_connection(tmp_path: Path) -> None:
    """A known source may be quiet for hours; a stranger who asked who we are would hold a place as long."""
    lab = Lab(tmp_path)
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        talk = await place.call(lab.client(None))
        known = await talk.post(IDENTIFY, WSMANIDENTIFY="unauthenticated")

        assert (known.status, known.closed) == (200, True)
        assert await talk.at_end()


async def test_a_foreign_or_a_server_certificate_gets_nowhere_and_the_log_says_why(tmp_path: Path) -> None:
    """In the handshake; TLS 1.3 tells the client when it reads, and tells it nothing useful."""
    lab = Lab(tmp_path)
    stranger = make_authority("Other CA", NOW - timedelta(days=1))
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        with capture_logs() as lines:
            for context in (lab.client(stranger), lab.client(lab.old, server=True)):
                with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                    await (await place.call(context)).post(enumerate_())
        assert await enumerated(place, lab.client(lab.old))

    reasons = [line["reason"] for line in lines if line["event"] == "handshake failed"]
    assert len(reasons) == 2
    assert "issuer" in reasons[0]
    assert "purpose" in reasons[1]


async def test_who_speaks_no_tls_is_told_nothing_and_leaves_his_place(tmp_path: Path) -> None:
    """Browsers on the wrong port, scanners, garbage; none of them may use up the connections."""
    lab = Lab(tmp_path)
    limits = Limits(connections_per_address=1, handshake_time=0.2)
    async with listening(corridor_in(tmp_path), lab.settings(), limits) as place:
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b""):
            stranger = await place.call()
            await stranger.send(said)
            while not await stranger.at_end():
                pass
        assert await enumerated(place, lab.client(lab.old))


async def test_a_handshake_that_never_ends_holds_a_place_only_for_its_time(tmp_path: Path) -> None:
    """It counts from its first moment, or ten thousand of them would count as none."""
    lab = Lab(tmp_path)
    limits = Limits(connections_per_address=1, handshake_time=0.3)
    async with listening(corridor_in(tmp_path), lab.settings(), limits) as place:
        silent = await place.call()
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await place.call(lab.client(lab.old))
        assert await silent.at_end()
        assert await enumerated(place, lab.client(lab.old))


async def test_a_reload_takes_effect_without_dropping_a_connection(tmp_path: Path) -> None:
    """A CA is removed: who has its certificate gets no further, also on an open connection; the others go on."""
    lab = Lab(tmp_path)
    async with listening(corridor_in(tmp_path), lab.settings()) as place:
        going, staying = await place.call(lab.client(lab.new)), await place.call(lab.client(lab.old))
        assert (await going.post(enumerate_())).status == 200
        assert (await staying.post(enumerate_())).status == 200

        lab.trusted.pop()  # the new CA, which nobody wanted after all
        lab.server = write(tmp_path, "renewed", issue(lab.old, ["localhost"], server=True, now=NOW))
        place.renew(lab.settings())

        assert (await staying.post(enumerate_())).status == 200
        assert (await going.post(enumerate_())).status == 401
        fresh = await place.call(lab.client(lab.old))
        served = fresh.writer.get_extra_info("ssl_object").getpeercert(True)
    assert served == ssl.PEM_cert_to_DER_cert(lab.server.read_text())
