"""What the sink and ``wef setup`` ask of a client library, and the two that keep it.

``elastic_client`` speaks to Elasticsearch with Elastic's own library; ``plain_client`` speaks plain media
types, which OpenSearch wants. Both send through ``wire``. A request is sent once, to one host; the next
one goes elsewhere when that host failed. Whoever asks decides whether to ask again.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from collector.errors import CollectorError, OperatorError
from collector.sinks.elasticsearch.settings import ElasticsearchSettings

Media = Literal["json", "x-ndjson"]


class NoAnswer(CollectorError):
    """Nobody knows what became of the request: the host is away, slow, or no HTTP server.

    *blocked*: waiting does not help, a person must act (a certificate that proves nothing, another product).
    """

    def __init__(self, text: str, *, blocked: bool = False) -> None:
        super().__init__(text)
        self.blocked = blocked


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply of any status. *headers*: lower-case names; *host*: the address that answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = ""


class Client(Protocol):
    """Connections to the hosts of one cluster. *hosts*: how many there are."""

    hosts: int

    async def request(self, method: str, path: str, body: bytes | None = None, media: Media = "json") -> Reply:
        """Send once, to a host that is thought to live. *path* begins with "/" and may hold a query.

        Ends by itself after the settings' ``request_timeout``. Raises ``NoAnswer``; a status is no error.
        """

    async def close(self) -> None:
        """Let go of all connections."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster. *authorization*: a header's value, a secret; *tls*: None for plain http."""

    hosts: tuple[str, ...]
    authorization: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    timeout: float = 30.0
    gzip: bool = False


def connect(settings: ElasticsearchSettings) -> Client:
    """A client as *settings* say; it connects with its first request. Raises ``OperatorError`` for bad files."""
    access = Access(
        tuple(host.rstrip("/") for host in settings.hosts),
        authorization(settings),
        tls_context(settings),
        settings.request_timeout,
        settings.compression == "gzip",
    )
    # Imported here: the libraries take 20 MiB and 0.2 s, which collectors without this sink need not pay.
    if settings.product == "opensearch":
        from collector.sinks.elasticsearch.plain_client import PlainClient

        return PlainClient(access)
    from collector.sinks.elasticsearch.elastic_client import ElasticClient

    return ElasticClient(access)


def authorization(settings: ElasticsearchSettings) -> str:
    """The header that proves us; ``""``: none. An API key may be written encoded or as ``id:key``."""
    if settings.api_key is not None:
        key = settings.api_key.get_secret_value()
        return f"ApiKey {_base64(key) if ':' in key else key}"
    if settings.username is not None and settings.password is not None:
        return f"Basic {_base64(f'{settings.username}:{settings.password.get_secret_value()}')}"
    return ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tls_context(settings: ElasticsearchSettings) -> ssl.SSLContext | None:
    """Certificates are always verified; *ca* replaces the system's authorities. Raises ``OperatorError``."""
    if not any(host.lower().startswith("https:") for host in settings.hosts):  # RFC 3986 3.1: HTTPS is the same
        return None
    context = ssl.create_default_context() if settings.ca is None else _trusting(str(settings.ca))
    if settings.certificate is not None and settings.private_key is not None:
        try:
            context.load_cert_chain(settings.certificate, settings.private_key, password=lambda: b"")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise OperatorError(
                f"{settings.certificate} with {settings.private_key} cannot be used as client certificate:"
                f" {_words(error)}; they are PEM files, the key belongs to the certificate and has no password."
            ) from error
    return context


def _trusting(path: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"{path} cannot be used as ca: {_words(error)}; it is a PEM file with the certificates of authorities."
        ) from error
    return context


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)[:200]
