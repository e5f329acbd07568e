"""Who may ask a pretend machine: the same gate that the collector's own listeners have, and TLS from the serving end.

It knows files and OpenSSL, no HTTP and no messages.
"""

from __future__ import annotations

import asyncio.sslproto
import ipaddress
import ssl
from pathlib import Path

from pydantic import ValidationError

from collector.auth.anonymous import NoneMechanism
from collector.auth.gate import Gate
from collector.auth.mechanisms import MECHANISMS
from collector.clock import Clock
from collector.config.explain import explain
from collector.config.settings import ListenerSettings
from collector.errors import OperatorError

USAGE = 64
RECEIVED = 16 * 1024
"""Bytes that asyncio receives at once on a TLS connection, which it keeps for each: thousands wait on a Pull."""


class HostContext(ssl.SSLContext):
    """A server's context. *binding* is what a proof inside its connections has to be bound to (RFC 5929)."""

    binding: bytes | None = None


def make_gate(
    mechanism: str, clock: Clock, *, keytab: Path | None = None, ca: Path | None = None, tls: HostContext | None = None
) -> Gate:
    """The gate for *mechanism* (none, certificate, kerberos, negotiate). Raises ``OperatorError``.

    *keytab* has the keys of the machines' service principals, HTTP/<host in the URL>; any of them will do. *ca*
    issues the collectors' certificates.
    """
    if mechanism == "none":
        return Gate([NoneMechanism()], clock)
    if mechanism == "certificate" and (tls is None or ca is None):
        raise OperatorError(
            "--mechanism certificate: the machines need --cert and --key of their own, and --ca, which issues the"
            " collector's certificate.",
            exit_code=USAGE,
        )
    if mechanism in ("kerberos", "negotiate") and keytab is None:
        raise OperatorError(
            f"--mechanism {mechanism}: there is no --keytab; give one with the keys of HTTP/<host in the URL>.",
            exit_code=USAGE,
        )
    table: dict[str, object] = {
        "transport": "http" if mechanism != "certificate" else "https",
        "address": "127.0.0.1",
        "authentication": [mechanism],
    }
    if mechanism == "certificate":
        table |= {"client_ca": [ca], "certificate": ca, "key": ca}  # the context has its own; these are not opened
    else:
        table["keytab"] = keytab
    try:
        settings = ListenerSettings.model_validate(table)
    except ValidationError as error:
        raise OperatorError("; ".join(sentence for _, sentence in explain(error, ListenerSettings))) from error
    return Gate([MECHANISMS[mechanism](settings, clock)], clock)


def serving_context(certificate: Path, key: Path | None, ca: Path | None) -> HostContext:
    """TLS of a machine that shows *certificate*, and asks for one of *ca* where that is given.

    PEM files; *key* None: it is in the file of the certificate. Raises ``OperatorError``.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from collector.auth.binding import endpoint_binding

    protocol = asyncio.sslproto.SSLProtocol
    if protocol.max_size > 4 * RECEIVED:  # nobody in this process was frugal before; a private name, pinned by a test
        protocol.max_size = RECEIVED
    context = HostContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        served = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        context.binding = endpoint_binding(served.public_bytes(Encoding.DER))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise OperatorError(
            f"--cert {certificate} with --key {key or certificate}: cannot be used ({error}); give a PEM certificate"
            " and its key."
        ) from error
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"--ca {ca}: cannot be used ({error}); give a PEM file.") from error
        context.verify_mode = ssl.CERT_OPTIONAL  # who shows none gets a 401 that says why
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def binding_of(connection: ssl.SSLObject | None) -> bytes | None:
    """The channel binding of the certificate that was served on *connection*; None without TLS."""
    context = connection.context if connection is not None else None
    return context.binding if isinstance(context, HostContext) else None


def loopback(address: str) -> bool:
    """Whether nobody but this machine can reach *address* (an IP address or network)."""
    try:
        return ipaddress.ip_network(address, strict=False).is_loopback
    except ValueError:
        return address == "localhost"
