"""The TLS context of a listener, and the channel binding of the certificate that it serves.

The two are one object: a reload replaces both at once, and a connection keeps what it was made with. It knows
files and OpenSSL, no HTTP and no caller.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from collector.config.settings import ListenerSettings
from collector.errors import OperatorError
from collector.listener.frugal import be_frugal


class ServingContext(ssl.SSLContext):
    """A server's context. *binding* is what a proof inside its connections has to be bound to (RFC 5929).

    *thumbprint* is what Windows calls its certificate by.
    """

    binding: bytes | None = None
    thumbprint: str = ""


def binding_of(connection: ssl.SSLObject | None) -> bytes | None:
    """The channel binding of the certificate that was served on *connection*; None without TLS."""
    context = connection.context if connection is not None else None
    return context.binding if isinstance(context, ServingContext) else None


def tls_context(name: str, settings: ListenerSettings) -> ServingContext:
    """TLS 1.2 and later, asking every client for its certificate. Raises ``OperatorError``.

    The certificate is optional in the handshake so that a caller without one gets a 401 that
    says why, and so that Identify can be answered; the gate lets nobody else in.
    """
    be_frugal()
    assert settings.certificate is not None, "the settings demand a certificate for https"
    context = ServingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])  # WinRM never speaks h2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        context.binding, context.thumbprint = _marks(settings.certificate)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise OperatorError(
            f"listener {name}: certificate {settings.certificate} with key {settings.key} cannot be used: {error}."
            " Both must be PEM, and belong together."
        ) from error
    if settings.client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an issuing CA alone is trust enough
        _trust(context, name, settings.client_ca)
    return context


def _marks(path: Path) -> tuple[bytes, str]:
    """Channel binding and thumbprint of a PEM file's first certificate, the server's own. Raises ``ValueError``."""
    # 9 MB that plain http does without
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from collector.auth.binding import endpoint_binding
    from collector.auth.certificate import thumbprint

    served = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return endpoint_binding(served.public_bytes(Encoding.DER)), thumbprint(served)


def _trust(context: ssl.SSLContext, name: str, authorities: Sequence[Path]) -> None:
    for path in authorities:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"listener {name}: client_ca {path} cannot be used: {error}.") from error
