"""The channel binding of a certificate: both ends compute it, so it has to be the one that everybody computes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from collector.auth.binding import endpoint_binding

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RSA_SHA256 = bytes.fromhex("06092a864886f70d01010b")  # 1.2.840.113549.1.1.11; .5 is with SHA-1, .4 with MD5


KEY_WITHOUT_DIGEST = ed25519.Ed25519PrivateKey.generate()
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def certificate(digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None, key: Key) -> bytes:
    """In DER, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wec.wef.test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    return builder.sign(key, digest).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def signed_with_rsa() -> bytes:
    return certificate(hashes.SHA256(), rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (hashes.SHA256(), hashlib.sha256),
        (hashes.SHA384(), hashlib.sha384),
        (hashes.SHA512(), hashlib.sha512),
        (None, hashlib.sha256),
    ],
)
def test_the_digest_is_that_of_the_certificates_signature(
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None, expected: type
) -> None:
    """RFC 5929 section 4.1; with another digest every Windows would be refused."""
    served = certificate(digest, ec.generate_private_key(ec.SECP256R1()) if digest else KEY_WITHOUT_DIGEST)

    assert endpoint_binding(served) == b"tls-server-end-point:" + expected(served).digest()


@pytest.mark.parametrize("arc", [b"\x05", b"\x04"], ids=["SHA-1", "MD5"])
def test_old_digests_count_as_sha_256(arc: bytes, signed_with_rsa: bytes) -> None:
    """RFC 5929 says so. Nothing makes such certificates any more, so one is relabelled."""
    served = signed_with_rsa.replace(RSA_SHA256, RSA_SHA256[:-1] + arc)

    assert served != signed_with_rsa
    assert endpoint_binding(served) == b"tls-server-end-point:" + hashlib.sha256(served).digest()


def test_what_is_no_certificate_is_refused() -> None:
    """An empty binding would bind to nothing."""
    with pytest.raises(ValueError, match=r"pars"):
        endpoint_binding(b"")
