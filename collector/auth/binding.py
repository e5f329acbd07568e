"""What ties a proof to the TLS connection it travels in: the channel binding, both roles.

It is a digest of the certificate that the server serves, so it changes with that certificate:
ask again when it is replaced. The file knows certificates and no connections.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

PREFIX = b"tls-server-end-point:"


def endpoint_binding(certificate: bytes) -> bytes:
    """The ``tls-server-end-point`` binding of a server's *certificate* in DER (RFC 5929 section 4.1).

    The digest is that of the certificate's own signature, but SHA-256 for MD5 and SHA-1, and for signatures
    that name no digest (Ed25519), for which the RFC leaves it open. Raises ``ValueError`` for what is no certificate.
    """
    served = x509.load_der_x509_certificate(certificate)
    return PREFIX + served.fingerprint(_digest_of(served))


def _digest_of(certificate: x509.Certificate) -> hashes.HashAlgorithm:
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        digest = None
    return hashes.SHA256() if digest is None or digest.name in ("md5", "sha1") else digest
