"""A client's TLS: whom it believes, what it shows, and how little memory a connection takes. It knows no settings."""

from __future__ import annotations

import asyncio.sslproto
import ssl

from collector.errors import OperatorError

RECEIVED = 16 * 1024
"""Bytes that asyncio receives at once on a TLS connection: one record. It keeps such a buffer for each connection,
256 KiB by default, and thousands of sources have thousands of connections on which hardly anything is received."""


def tls_context(ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """A client's context; without *ca* the system's authorities count. Raises ``OperatorError`` naming the file.

    The server's name is always checked.
    """
    protocol = asyncio.sslproto.SSLProtocol
    if protocol.max_size > 4 * RECEIVED:  # nobody in this process was frugal before; a private name, pinned by a test
        protocol.max_size = RECEIVED
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"{ca}: cannot be used as certificate authority ({_reason(error)}); give a PEM file."
        ) from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ssl.SSLError) as error:
            problem = f"{certificate} and {key or 'the key in it'}: cannot be used ({_reason(error)})"
            raise OperatorError(f"{problem}; give a PEM certificate and its key.") from error
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
