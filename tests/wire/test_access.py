"""Credentials at work, with a real KDC and our own gate at the far end: it proves who it is, or is not heard."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collector.auth.initiator import NotAuthenticated
from collector.clock import ManualClock
from collector.config.paths import Place
from collector.config.pull import CredentialsSettings
from collector.errors import OperatorError
from collector.wire.access import Access
from collector.wire.connection import Answer, read_url
from collector.wire.trouble import Trouble
from collector.wsman import sealing
from tests.conftest import absent
from tests.contracts.far_ends import OurFarEnd, Reply
from tests.servers.kdc import Kdc
from tests.wire.scripted import BODY, KIND, FarEnd, Lab, Met, answer, listening, says, troubled

KERBEROS = 'multipart/encrypted;protocol="application/HTTP-Kerberos-session-encrypted";boundary="Encrypted Boundary"'


@pytest.fixture(scope="module")
def realm(kdc: Kdc) -> Kdc:
    """The session's realm, with a collector that calls and a source that is called localhost."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    kdc.keytab("HTTP/localhost")
    kdc.keytab("puller")
    return kdc


def settings(**written: Any) -> CredentialsSettings:
    return CredentialsSettings.model_validate(written, context=Place())


def access(realm: Kdc, mechanism: str = "kerberos", **more: Any) -> Access:
    keytab = str(realm.keytab("puller"))
    written = settings(mechanism=mechanism, principal=realm.full("puller"), keytab=keytab, **more)
    return Access("dmz", written, clock=ManualClock())


@dataclass
class Source:
    """A source behind ``FarEnd``: our gate, and what *bend* makes of its answers to bodies."""

    keytab: Path
    bend: Callable[[Reply], Reply] = lambda reply: reply
    secure: bool = False
    binding: bytes | None = None

    def __post_init__(self) -> None:
        self.ends: dict[int, OurFarEnd] = {}

    def __call__(self, met: Met) -> bytes:
        if met.link not in self.ends:
            self.ends[met.link] = OurFarEnd(self.keytab, secure=self.secure, binding=self.binding)
        shown = met.headers.get("Authorization")
        reply = self.ends[met.link].reply(shown, met.headers["Content-Type"], met.body)
        reply = self.bend(reply) if shown is None else reply
        challenges = "".join(f"WWW-Authenticate: {challenge}\r\n" for challenge in reply.challenges)
        return answer(reply.body, f"{reply.status} ", reply.content_type, challenges)


def behind(source: Source, requests: int = 9) -> FarEnd:
    return FarEnd([source] * requests)


def at_localhost(far_end: FarEnd) -> str:
    return far_end.url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
async def test_both_ends_know_each_other_and_nothing_goes_in_clear(realm: Kdc, mechanism: str) -> None:
    """The whole way with a real KDC: an empty request, then sealed ones on the same connection."""
    source = Source(realm.keytab("HTTP/localhost"))
    async with listening(behind(source)) as far_end:
        calling = access(realm, mechanism)
        async with calling.connection(at_localhost(far_end), timeout=5) as connection:
            assert await connection.post(BODY, KIND) == Answer(200, "application/soap+xml;charset=UTF-16", 2 * BODY)
            assert (await connection.post(b"<again/>", KIND)).body == b"<again/><again/>"

    assert [bool(met.body) for met in far_end.met] == [False, True, True]
    assert {met.link for met in far_end.met} == {1}
    assert far_end.met[0].headers["Authorization"].startswith(f"{mechanism.capitalize()} ")
    assert all(BODY not in met.body for met in far_end.met)
    assert calling.proves(at_localhost(far_end)) == "HTTP/localhost"


def tampered(reply: Reply) -> Reply:
    body = bytearray(reply.body)
    body[-40] ^= 1
    return Reply(reply.status, (), reply.content_type, bytes(body))


def in_clear(reply: Reply) -> Reply:
    return Reply(reply.status, (), KIND, b"<s:Envelope>nothing new</s:Envelope>")


def from_the_wrong_key(reply: Reply) -> Reply:
    return Reply(reply.status, (), reply.content_type, reply.body.replace(b"Length=", b"Length=9"))


def cut(reply: Reply) -> Reply:
    return Reply(reply.status, (), reply.content_type, reply.body[:-60])


def half(reply: Reply) -> Reply:
    return Reply(reply.status, (), reply.content_type, reply.body[:100])


def other_protocol(reply: Reply) -> Reply:
    return Reply(reply.status, (), reply.content_type.replace("Kerberos", "SPNEGO"), reply.body)


def busy(reply: Reply) -> Reply:
    return Reply(503, (), "text/html; charset=us-ascii", b"<html>Service Unavailable</html>")


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (tampered, "sealing"),
        (in_clear, "sealing"),
        (from_the_wrong_key, "sealing"),
        (cut, "sealing"),
        (half, "sealing"),
        (other_protocol, "sealing"),
        (busy, "http"),
    ],
)
async def test_after_a_proof_only_what_is_sealed_is_believed(
    realm: Kdc, bend: Callable[[Reply], Reply], reason: str
) -> None:
    """Anybody between the two could have written the rest: a false "no events" would be believed for ever."""
    async with listening(behind(Source(realm.keytab("HTTP/localhost"), bend))) as far_end:
        trouble = await troubled(access(realm).connection(at_localhost(far_end), timeout=5))

    assert (trouble.reason, trouble.sent) == (reason, True)
    assert len(far_end.met) == 2


async def test_an_answer_that_was_given_before_is_not_believed(realm: Kdc) -> None:
    """A batch twice would be doubled; an old "nothing" would hide a new batch."""
    kept: list[Reply] = []

    def replay(reply: Reply) -> Reply:
        kept.append(reply)
        return kept[0]

    async with listening(behind(Source(realm.keytab("HTTP/localhost"), replay))) as far_end:
        connection = access(realm).connection(at_localhost(far_end), timeout=5)
        await connection.post(BODY, KIND)
        trouble = await troubled(connection)

    assert (trouble.reason, trouble.sent) == ("sealing", True)


async def test_a_401_in_mid_session_is_trouble_and_the_next_post_proves_anew(realm: Kdc) -> None:
    """The source was restarted or the ticket is over. A body is never sent twice by the connection itself."""
    replies: list[Callable[[Reply], Reply]] = [lambda reply: Reply(401, ["Kerberos"]), lambda reply: reply]
    source = Source(realm.keytab("HTTP/localhost"), lambda reply: replies.pop(0)(reply))
    async with listening(behind(source)) as far_end:
        connection = access(realm).connection(at_localhost(far_end), timeout=5)
        with pytest.raises(Trouble) as caught:
            await connection.post(BODY, KIND)
        assert (await connection.post(BODY, KIND)).body == 2 * BODY
        await connection.close()

    assert (caught.value.reason, caught.value.sent, caught.value.status) == ("authentication", True, 401)
    assert [(met.link, bool(met.body)) for met in far_end.met] == [(1, False), (1, True), (2, False), (2, True)]


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (answer(b"", "401 ", more="WWW-Authenticate: Kerberos\r\n"), "authentication", "clocks"),
        (answer(b"", "401 ", more="WWW-Authenticate: Negotiate\r\n"), "authentication", "mechanism = negotiate"),
        (answer(b"", "401 ", more='WWW-Authenticate: Basic realm="WSMAN"\r\n'), "authentication", "basic"),
        (answer(b""), "authentication", "without proving who it is"),
        (answer(b"", more="WWW-Authenticate: Kerberos AAAA\r\n"), "authentication", "not accepted"),
        (answer(b"", "503 "), "http", "503"),
        (answer(b"", "302 ", more="Location: http://127.0.0.1:1/\r\n"), "http", "302"),
        (answer(b"x" * 300_000, "401 "), "too-large", "300000"),
        (None, "cut", "closed"),
    ],
)
async def test_a_far_end_that_is_not_convincing_hears_nothing(
    realm: Kdc, reply: bytes | None, reason: str, said: str
) -> None:
    """Not one byte of a question goes to whoever did not prove to be the source."""
    async with listening(says(reply)) as far_end:
        trouble = await troubled(access(realm).connection(at_localhost(far_end), timeout=5))

    assert (trouble.reason, trouble.sent) == (reason, False)
    assert said in str(trouble)
    assert [met.body for met in far_end.met] == [b""]


async def test_a_source_without_a_name_in_the_realm_gets_no_ticket_and_no_bytes(realm: Kdc) -> None:
    """An address, or an alias: the sentence says which name to use."""
    async with listening(says(answer())) as far_end:
        trouble = await troubled(access(realm).connection(far_end.url, timeout=5))

    assert (trouble.reason, trouble.sent) == ("ticket", False)
    assert "HTTP/127.0.0.1" in str(trouble)
    assert not far_end.met


async def test_inside_tls_the_proof_is_bound_to_the_certificate_and_bodies_need_no_seal(
    realm: Kdc, tmp_path: Path
) -> None:
    """https with Kerberos: the ticket is good for this one connection only."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from collector.auth.binding import endpoint_binding

    lab = Lab(tmp_path)
    serving = lab.serving("localhost")
    served = x509.load_pem_x509_certificates((tmp_path / "server.pem").read_bytes())[0].public_bytes(Encoding.DER)
    right = Source(realm.keytab("HTTP/localhost"), secure=True, binding=endpoint_binding(served))
    async with listening(behind(right), serving) as far_end:
        connection = access(realm, ca=lab.ca).connection(far_end.url, timeout=5)
        assert (await connection.post(BODY, KIND)).body == 2 * BODY
        await connection.close()
    assert far_end.met[1].body == BODY

    wrong = Source(realm.keytab("HTTP/localhost"), secure=True, binding=b"tls-server-end-point:" + bytes(32))
    async with listening(behind(wrong), serving) as far_end:
        trouble = await troubled(access(realm, ca=lab.ca).connection(far_end.url, timeout=5))
    assert (trouble.reason, trouble.sent) == ("authentication", False)


async def test_a_certificate_is_shown_inside_tls_and_says_so_with_the_first_request(tmp_path: Path) -> None:
    """[DSP0226] C.3.5; the hint goes once."""
    lab = Lab(tmp_path)
    serving = lab.serving("localhost")
    files = {"certificate": str(tmp_path / "client.pem"), "key": str(tmp_path / "client.pem"), "ca": lab.ca}
    calling = Access("dmz", settings(mechanism="certificate", **files))
    async with listening(says(answer(), answer(), answer(b"", "403 ")), serving) as far_end:
        connection = calling.connection(far_end.url, timeout=5)
        assert (await connection.post(BODY, KIND)).status == 200
        assert (await connection.post(BODY, KIND)).status == 200
        trouble = await troubled(connection)

    assert ["Authorization" in met.headers for met in far_end.met] == [True, False, False]
    assert far_end.met[0].headers["Authorization"].endswith("/secprofile/https/mutual")
    assert (trouble.reason, "certmapping" in str(trouble)) == ("authentication", True)
    assert calling.proves(far_end.url) == "localhost"


async def test_credentials_are_not_used_where_they_prove_nothing(tmp_path: Path) -> None:
    """A certificate without TLS, and nobody in particular on a network: not a byte leaves."""
    lab = Lab(tmp_path)
    lab.serving("localhost")
    certificate = Access("dmz", settings(mechanism="certificate", certificate=str(tmp_path / "client.pem")))
    async with listening(says(answer())) as far_end:
        plain = await troubled(certificate.connection(far_end.url, timeout=5))
    async with listening(says(answer(), answer())) as far_end:
        nobody = Access("lab", settings(mechanism="none"))
        async with nobody.connection(far_end.url, timeout=5) as connection:
            assert (await connection.post(BODY, KIND)).status == 200
        network = read_url("http://192.0.2.1:5985/wsman")
        assert network is not None
        with pytest.raises(NotAuthenticated, match="loopback"):
            nobody._initiator(network, None)

    assert (plain.reason, plain.sent) == ("authentication", False)
    assert "https" in str(plain)


async def test_nobody_who_is_asked_for_a_proof_says_so() -> None:
    """mechanism none against a source that wants one."""
    async with listening(says(answer(b"", "401 ", more="WWW-Authenticate: Negotiate\r\n"))) as far_end:
        trouble = await troubled(Access("lab", settings(mechanism="none")).connection(far_end.url, timeout=5))

    assert trouble.reason == "authentication"
    assert "mechanism is none" in str(trouble)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"mechanism": "kerberos", "keytab": "a"}, "at credentials.dmz.principal: it is missing; say whose key"),
        ({"mechanism": "certificate"}, "at credentials.dmz.certificate: it is missing; give the PEM file"),
        ({"mechanism": "none", "username": "a"}, "at credentials.dmz.username: only mechanism kerberos"),
        (
            {"mechanism": "kerberos", "principal": "a@B", "keytab": "k", "ccache": "c"},
            "at credentials.dmz.keytab: keytab and ccache: a ticket comes from one of them",
        ),
        ({"mechanism": "kerberos", "trusted_hosts": ["a b"]}, 'at credentials.dmz.trusted_hosts: "a b" names no host'),
        ({"mechanism": "none", "ca": "no.pem"}, "at credentials.dmz.ca: no.pem: cannot be used"),
        (
            {"mechanism": "certificate", "certificate": "no.pem", "key": "no.key"},
            "at credentials.dmz.certificate: no.pem and no.key: cannot be used",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_path_of_its_key(written: dict[str, Any], said: str) -> None:
    """As every problem of collector.toml is."""
    with pytest.raises(OperatorError) as caught:
        Access("dmz", settings(**written))

    assert caught.value.problems[0].startswith(said)


def test_a_seal_is_what_sealing_says_it_is() -> None:
    """The far end of these tests seals with the library's own framing."""
    assert f'multipart/encrypted;protocol="{sealing.KERBEROS}";boundary="{sealing.BOUNDARY}"' == KERBEROS
