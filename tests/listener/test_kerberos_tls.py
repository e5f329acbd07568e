"""Kerberos inside TLS: channel binding at each level, and bodies that may go in clear there."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from collector.auth.kerberos import KerberosMechanism
from collector.clock import SystemClock
from collector.config.settings import ListenerSettings
from tests.listener.domain import Member, taking
from tests.listener.speaking import corridor_in, enumerate_, listening
from tests.listener.test_door import events
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
NOW = datetime.now(UTC)  # noqa: TID251 - OpenSSL reads the real clock
DIGESTS: dict[str, hashes.SHA256 | hashes.SHA384] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}


class Site:
    """A listener's certificate, signed with *digest* by itself."""

    def __init__(self, folder: Path, digest: str = "sha256", name: str = "server") -> None:
        self.digest = digest
        self.pem, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(NOW - timedelta(hours=1)).not_valid_after(NOW + timedelta(days=1))
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        certificate = builder.add_extension(names, critical=False).sign(key, DIGESTS[digest])
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def settings(self, kdc: Kdc, *words: str, **more: Any) -> ListenerSettings:
        return taking(kdc, *words, transport="https", certificate=self.pem, key=self.key, **more)

    @property
    def binding(self) -> bytes:
        """As RFC 5929 section 4.1 says, computed without our code."""
        return b"tls-server-end-point:" + hashlib.new(self.digest, self.der).digest()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.pem))


VERDICTS = {  # what the client sends: its own binding, none, that of another connection
    "none": {"right": True, "no": True, "wrong": True},
    "relaxed": {"right": True, "no": True, "wrong": False},
    "strict": {"right": True, "no": False, "wrong": False},
}


@pytest.mark.parametrize("digest", ["sha256", "sha384"])
@pytest.mark.parametrize("level", VERDICTS)
async def test_channel_binding_at_each_level(tmp_path: Path, kdc: Kdc, level: str, digest: str) -> None:
    """CbtHardeningLevel of Windows: who ends TLS in the middle can pass no ticket on ([MS-WSMV] 2.2.4.34)."""
    site = Site(tmp_path, digest)
    sent = {"right": site.binding, "no": None, "wrong": Site(tmp_path, digest, "other").binding}
    async with listening(corridor_in(tmp_path), site.settings(kdc, cbt_hardening=level)) as place:
        for scheme in ("Kerberos", "Negotiate"):
            for what, binding in sent.items():
                talk = await place.call(site.trust())
                with capture_logs() as lines:
                    answer = await Member(kdc, "pc01$").session(scheme, binding=binding).prove(talk)
                assert (answer.status == 200) is VERDICTS[level][what], (scheme, what, lines)
                if answer.status != 200:
                    said = {"wrong": "another TLS connection", "no": "not bound"}[what]
                    assert said in lines[-1]["text"]


async def test_over_plain_http_a_binding_means_nothing(tmp_path: Path, kdc: Kdc) -> None:
    """A client behind something that ends TLS sends one; over http it is ignored ([MS-WSMV] 2.2.4.34)."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        session = Member(kdc, "pc01$").session(binding=b"tls-server-end-point:anything")
        assert (await session.prove(await place.call())).status == 200


async def test_the_binding_changes_with_the_certificate(tmp_path: Path, kdc: Kdc) -> None:
    """A reload serves another one to new connections, and the open ones keep theirs."""
    site = Site(tmp_path)
    settings = site.settings(kdc, cbt_hardening="strict")
    async with listening(corridor_in(tmp_path), settings) as place:
        trust, old = site.trust(), site.binding
        waiting = await place.call(trust)
        renewed = Site(tmp_path)  # over the same files
        place.renew(settings)

        assert (await Member(kdc, "pc01$").session(binding=old).prove(waiting)).status == 200
        for binding, status in ((renewed.binding, 200), (old, 401)):
            talk = await place.call(renewed.trust())
            assert (await Member(kdc, "pc01$").session(binding=binding).prove(talk)).status == status


async def test_inside_tls_bodies_go_in_clear_or_sealed(tmp_path: Path, kdc: Kdc) -> None:
    """Windows sends them in clear there (protocol.md 3.1), pypsrp seals if it is told to; also with the token."""
    site = Site(tmp_path)
    corridor = corridor_in(tmp_path)
    async with listening(corridor, site.settings(kdc)) as place:
        talk = await place.call(site.trust())
        session = Member(kdc, "pc01$").session("Negotiate", binding=site.binding)
        first = await talk.post(enumerate_(), Authorization=session.authorization())
        session.take(first)
        clear, sealed = await talk.post(events(1)), await session.say(talk, events(2))

        assert (first.status, clear.status, sealed.status) == (200, 200, 200)
        assert b"secprofile/https/spnego-kerberos" in first.body
        assert b"wsman/Ack" in clear.body
        assert "wsman/Ack" in session.opened(sealed)


async def test_over_plain_http_a_clear_body_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """Anybody between the two ends could have written it."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        with capture_logs() as lines:
            answer = await talk.post(events(1))

        assert (answer.status, answer.body, await talk.at_end()) == (400, b"", True)
    assert (lines[-1]["reason"], lines[-1]["source"]) == ("seal", "pc01")
    assert not list(corridor.store.bookmarks())


def test_a_mechanism_knows_what_a_source_has_to_do_when_it_delivers(kdc: Kdc) -> None:
    """The Policy of the offer knows no other words ([MS-WSMV] 2.2.4.1)."""
    mechanism = KerberosMechanism("kerberos", taking(kdc), SystemClock())

    assert [mechanism.profile(secure) for secure in (False, True)] == ["http/spnego-kerberos", "https/spnego-kerberos"]
