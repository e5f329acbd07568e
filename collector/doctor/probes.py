"""Looks at what is outside: names, ports, TLS, HTTP. It reports what it saw and judges nothing.

Blocking, with a time-out for each step: it runs in the foreground of a command. It knows plain sockets and
``http.client``, because the listener's own room may not be seen from here.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from collector.auth.binding import endpoint_binding
from collector.auth.initiator import Initiator, Proving
from collector.doctor.names import is_address
from collector.errors import CollectorError
from collector.wsman import names, sealing
from collector.wsman.messages import IdentifyResponse
from collector.wsman.responses import read_response

WAIT = 5.0
"""Seconds for each step; everything is on this machine or beside it."""
LARGEST_ANSWER = 64 * 1024
ANONYMOUS_PATH = "/wsman-anon/identify"  # [DSP0226] R11-6
PATH = "/wsman/SubscriptionManager/WEC"
PLAIN = "application/soap+xml;charset=UTF-8"
IDENTIFY = (
    f'<s:Envelope xmlns:s="{names.SOAP}" xmlns:wsmid="{names.IDENTITY}">'
    "<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"
)

Begin = Callable[[bytes | None], Initiator]
"""How an initiator is made for a connection: it is given the channel binding, None without TLS."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What one address answered. *trouble* is the step that ended it, "" when all went well.

    *certificate* is the served one in DER; *version* what Identify said; *status* and *challenges* are the answer to a
    request that proves nothing.
    """

    address: str
    port: int
    open: bool = False
    trouble: str = ""
    certificate: bytes | None = None
    version: str = ""
    status: int = 0
    challenges: Sequence[str] = ()


class SystemResolver:
    """The machine's own name service."""

    def addresses(self, host: str) -> Sequence[str]:
        try:
            found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            return ()
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def name(self, address: str) -> str | None:
        try:
            return socket.gethostbyaddr(address)[0]
        except OSError:
            return None

    def local(self, address: str) -> bool:
        """An address is ours when we can bind to it; nothing is sent."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.bind((address, 0))
        except OSError:
            return False
        return True


def dialled(addresses: Sequence[str]) -> Sequence[str]:
    """Addresses to connect to for those a listener is bound to: any address is reached over loopback."""
    loopback = {"*": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",), "::": ("::1",)}  # noqa: S104 - read, not bound
    return list(dict.fromkeys(one for address in addresses for one in loopback.get(address, (address,))))


def reach(address: str, port: int, *, secure: bool, host: str) -> Reached:
    """Connect, shake hands, ask who it is, and knock without proof. *host* goes into Host and SNI."""
    seen = Reached(address, port)
    try:
        plain = _dial(address, port)
        seen = replace(seen, open=True)
        with _Line(plain, port, secure=secure, host=host) as line:
            seen = replace(seen, certificate=line.certificate)
            status, _, body = line.post(ANONYMOUS_PATH, IDENTIFY.encode(), PLAIN)
            seen = replace(seen, version=_version(body.decode("utf-8", "replace")) if status == http.client.OK else "")
        with _Line(_dial(address, port), port, secure=secure, host=host) as line:
            status, challenges, _ = line.post(PATH, b"", PLAIN)
            seen = replace(seen, status=status, challenges=challenges)
    except ssl.SSLError as error:
        return replace(seen, trouble=f"the TLS handshake ended: {error.reason or error}")
    except (OSError, http.client.HTTPException, CollectorError) as error:
        return replace(seen, trouble=_words(error))
    return seen


def ready(address: str, port: int) -> int | None:
    """The status of /readyz; None when nobody answers there."""
    connection = http.client.HTTPConnection(dialled([address])[0], port, timeout=WAIT)
    try:
        connection.connect()
        with _deadline(connection.sock):
            connection.request("GET", "/readyz")
            return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def identify_as(begin: Begin, address: str, port: int, *, secure: bool, host: str) -> str:
    """Prove who we are and ask who it is, sealed where there is no TLS; the version that it answers.

    Raises ``CollectorError`` (not authenticated, a seal that does not open) and ``OSError``.
    """
    with _Line(_dial(address, port), port, secure=secure, host=host) as line:
        initiator = begin(line.binding())
        proving = Proving(initiator)
        while (authorization := proving.next()) is not None:
            status, challenges, _ = line.post(PATH, b"", PLAIN, authorization)
            proving.take(status, challenges)
        content_type, body = PLAIN, IDENTIFY.encode()
        seal = initiator.seal
        if seal is not None:
            content_type, body = sealing.sealed_body(seal, body, "UTF-8", sealing.SealStyle(seal.protocol))
        status, challenges, answer = line.post(PATH, body, content_type)
        proving.take(status, challenges)
        if status != http.client.OK:
            raise CollectorError(f"it answered {status} to a sealed Identify")
        if seal is not None:
            answer, _, _ = sealing.open_sealed(answer, line.content_type, seal, LARGEST_ANSWER)
        return _version(answer.decode("utf-8", "replace"))


class _Line:
    """HTTP over *plain*, kept for all requests; the answer's Content-Type stays readable."""

    def __init__(self, plain: socket.socket, port: int, *, secure: bool, host: str) -> None:
        self._host = f"{f'[{host}]' if ':' in host else host}:{port}"
        self._connection = http.client.HTTPConnection(host, port, timeout=WAIT)
        self.certificate: bytes | None = None
        if secure:
            wrapped = _tls(plain, host)
            self.certificate = wrapped.getpeercert(binary_form=True)
            self._connection.sock = wrapped
        else:
            self._connection.sock = plain
        self._connection.auto_open = 0  # a new connection would be another session
        self.content_type = ""

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def binding(self) -> bytes | None:
        """The channel binding, None without TLS. Raises ``CollectorError``."""
        try:
            return endpoint_binding(self.certificate) if self.certificate is not None else None
        except ValueError as error:  # what OpenSSL takes, others may not
            raise CollectorError(f"the certificate that it serves cannot be read: {error}") from error

    def post(
        self, path: str, body: bytes, content_type: str, authorization: str | None = None
    ) -> tuple[int, Sequence[str], bytes]:
        """Status, WWW-Authenticate values, body."""
        headers = {"Host": self._host, "Content-Type": content_type, "User-Agent": "wef doctor"}
        if authorization is not None:
            headers["Authorization"] = authorization
        with _deadline(self._connection.sock):
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse()
            self.content_type = answer.getheader("Content-Type", "")
            return answer.status, answer.headers.get_all("WWW-Authenticate", []), answer.read(LARGEST_ANSWER)


@contextlib.contextmanager
def _deadline(connection: socket.socket) -> Iterator[None]:
    """Cut *connection* off when an exchange does not end: a time-out counts from each byte that arrives."""

    def cut() -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(WAIT, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _dial(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), WAIT)


def _tls(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """Trusts whatever is served: the point is to see it, and nothing secret is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    name = None if is_address(host) else host
    return context.wrap_socket(plain, server_hostname=name)


def _version(text: str) -> str:
    answer = read_response(text, None)
    return f"{answer.vendor} {answer.version}".strip() if isinstance(answer, IdentifyResponse) else ""


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
