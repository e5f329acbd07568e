"""Asks an LDAP directory which machines there are (RFC 4511, 4513). It needs ldap3, an extra: import it late.

Nothing is said in clear: either there is TLS, or Kerberos seals what is asked and answered (RFC 4752; ldap3 leaves
it out, and a domain controller without a certificate asks for it). It blocks, and knows no subscription and no
mechanism: who we are is handed in.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.core.tls import Tls
from ldap3.operation.search import parse_filter
from ldap3.protocol.sasl.sasl import send_sasl_negotiation
from ldap3.utils.dn import safe_dn
from pyasn1.error import PyAsn1Error

from collector.errors import CollectorError
from collector.subscriptions.sources import MOST, DirectorySources, SourceProblem

PAGE = 250
"""Objects of one answer. Active Directory gives 1000 at most (MaxPageSize), and answers in pages only."""
PATIENCE = 10
"""Seconds for a connection, and for each answer."""
LONGEST = 120.0
"""Seconds for everything: MOST objects are 200 pages, and lists are looked at every five minutes."""
LARGEST = 64 * 2**20
"""Bytes of all answers: MOST objects of a kilobyte."""
UNKNOWN = 2**20
"""Bytes of all answers until the far end is known: a ticket for its proof has at most 64 KiB."""
LONGEST_VALUE = 1000
"""Characters of a value; a name has 254, and what is longer is said shortened."""
EMPTY = 100
"""Pages in a row without an object: a filter that fits few has some, and a directory that goes on has lost its way."""
DISABLED = 2
"""ADS_UF_ACCOUNTDISABLE in userAccountControl ([MS-ADTS] 2.2.16): a machine that was taken out of service."""

_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+", re.ASCII)  # RFC 4512 2.5, without options
_PAGED = "1.2.840.113556.1.4.319"  # RFC 2696
_IN_CLEAR, _SEALED = 1, 4  # layers of RFC 4752 3.1; 2 is integrity alone
_BUFFER = 2**24 - 1
"""Bytes of one sealed piece that we take: the most that can be said. Some servers do not listen to less."""
_PIECE = 2**16
_IN_PROGRESS = 14
_PROVOKED = (PyAsn1Error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What ldap3 and pyasn1 raise over bytes that are no LDAP; they do not look before they leap."""
_REMEDIES = {
    7: "it does not take this way to bind",
    8: "it wants to be asked another way: use ldap://, where Kerberos seals, or bind simple with ldaps://",
    3: "it gave up before the end; give a narrower base or filter",
    4: "it gives no more than its limit; give a narrower base or filter",
    10: "it does not hold that base; give the url of the directory that does",
    32: 'there is no such base; write it such as "OU=Servers,DC=corp,DC=example"',
    34: 'the base is no name of an object; write it such as "OU=Servers,DC=corp,DC=example"',
    49: "it does not accept the account or its password",
    50: "the account may not read there",
    1: "it wants to be told first who asks: give credentials",
}
"""By result code (RFC 4511 4.1.9; Active Directory answers 1 to who has not bound)."""


class Handshake(Protocol):
    """Kerberos from the calling side; raises ``CollectorError``."""

    @property
    def complete(self) -> bool: ...

    def step(self, token: bytes | None = None) -> bytes | None: ...

    def wrap(self, content: bytes, *, sealed: bool) -> bytes: ...

    def unwrap(self, token: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Account:
    """Bind by user name (a UPN or a distinguished name) and password, inside TLS only."""

    user: str
    password: str = field(repr=False)


Begin = Callable[[str, bytes | None], Handshake]
"""Begins a handshake with the named host; with the certificate (DER) that it served where there is TLS."""
Proof = Account | Begin | None
"""Who we are; None: nobody in particular."""


def mistake_in(listed: DirectorySources) -> str | None:
    """What no directory would understand in *listed*, as a sentence without its end."""
    try:
        parse_filter(listed.filter, None, True, True, None, False)
    except LDAPException:
        return f'filter "{listed.filter}" is none (RFC 4515); write such as "(operatingSystem=Windows Server*)"'
    try:
        safe_dn(listed.base)
    except LDAPException:
        return f'base "{listed.base}" is no name of an object; write it such as "OU=Servers,DC=corp,DC=example"'
    if _ATTRIBUTE.fullmatch(listed.attribute) is None:
        return f'attribute "{listed.attribute}" is none; write such as "dNSHostName"'
    return None


def search(
    listed: DirectorySources, proof: Proof, context: ssl.SSLContext, monotonic: Callable[[], float]
) -> Sequence[str]:
    """The values of the attribute of all objects that are found and not disabled. Raises ``SourceProblem``."""
    try:
        url = urlsplit(listed.url)
        host, port, secure = url.hostname or "", url.port, url.scheme.lower() == "ldaps"
    except ValueError as error:
        raise SourceProblem(f"{listed.url} is no address: {error}") from error
    tls = _Tls(context, host)
    connection: _Connection | None = None
    try:
        server = ldap3.Server(
            host,
            port=port or (636 if secure else 389),
            use_ssl=secure,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=PATIENCE,
        )
        connection = _Connection(server, proof)
        _open(connection, secure or not callable(proof), monotonic)
        return list(_found(connection, listed))
    except SourceProblem as error:
        raise SourceProblem(f"{listed.url}: {error}") from None
    except (LDAPException, CollectorError, OSError) as error:  # its text may quote what the far end said
        said = str(error).replace("invalid server address", "its name is not known, by DNS or the hosts file")
        raise SourceProblem(f"{listed.url}: {tls.trouble or _plain(said)}") from None
    except _PROVOKED as error:
        raise SourceProblem(f"{listed.url}: what it answers is no LDAP ({type(error).__name__})") from error
    finally:
        if connection is not None:
            connection.strategy.close()


class _Tls(Tls):  # type: ignore[misc]
    """ldap3's own looks at names by itself; OpenSSL does that better."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host
        self.trouble = ""

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            remedy = "the name in the URL has to be in it, and ca in the credentials name its authority's PEM file"
            self.trouble = f"its certificate is not accepted ({error.verify_message.removesuffix('.')}): {remedy}"
            raise
        except ssl.SSLError as error:
            self.trouble = f"it speaks no TLS that we know ({error.reason})"
            raise


class _Connection(ldap3.Connection):  # type: ignore[misc]
    """One connection, and who we are there."""

    def __init__(self, server: ldap3.Server, proof: Proof) -> None:
        ways: dict[str, Any] = {"authentication": ldap3.ANONYMOUS}
        if isinstance(proof, Account):
            ways = {"authentication": ldap3.SIMPLE, "user": proof.user, "password": proof.password}
        elif proof is not None:
            ways = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS}
        super().__init__(
            server,
            read_only=True,
            receive_timeout=PATIENCE,
            auto_referrals=False,  # it would show our password wherever it is sent to
            check_names=False,
            auto_range=False,
            **ways,
        )
        self.proof = proof
        self.served: bytes | None = None

    def do_sasl_bind(self, controls: Any) -> Any:
        """RFC 4752 3.1: the handshake, and then what seals from now on."""
        assert callable(self.proof)
        self.sasl_in_progress = True
        try:
            handshake = self.proof(self.server.host, self.served)
            token = handshake.step()
            while True:
                begun = handshake.complete
                result = send_sasl_negotiation(self, controls, token or b"")
                if result["result"] != _IN_PROGRESS:
                    return result
                if begun:
                    break
                token = handshake.step(result["saslCreds"] or b"")
            return self._agree(handshake, result["saslCreds"] or b"", controls)
        finally:
            self.sasl_in_progress = False

    def _agree(self, handshake: Handshake, token: bytes, controls: Any) -> Any:
        offer = handshake.unwrap(token)
        wanted = _SEALED if self.served is None else _IN_CLEAR
        if len(offer) != 4 or not offer[0] & wanted:
            raise SourceProblem("it does not seal with Kerberos; use ldaps://")
        most = int.from_bytes(offer[1:]) if self.served is None else 0
        choice = bytes([wanted]) + (_BUFFER if self.served is None else 0).to_bytes(3)
        result = send_sasl_negotiation(self, controls, handshake.wrap(choice, sealed=False))
        if result["result"] == 0 and self.served is None:
            self.socket.seal(handshake, most)
        return result


def _open(connection: _Connection, secure: bool, monotonic: Callable[[], float]) -> None:
    connection.open(read_server_info=False)
    if secure and not connection.server.ssl:
        connection.start_tls(read_server_info=False)
    if secure:
        connection.served = connection.socket.getpeercert(binary_form=True)
    connection.socket = channel = _Channel(connection.socket, monotonic)
    connection.bind(read_server_info=False)
    _require_good(connection.result)
    channel.trust()


class _Channel:
    """A socket for ldap3 that ends in time, takes no more than LARGEST bytes, and seals from ``seal`` on."""

    def __init__(self, socket: Any, monotonic: Callable[[], float]) -> None:
        self._socket = socket
        self._monotonic = monotonic
        self._until = monotonic() + LONGEST
        self._left = UNKNOWN
        self._handshake: Handshake | None = None
        self._piece = _PIECE
        self.shutdown, self.close = socket.shutdown, socket.close

    def trust(self) -> None:
        """The far end is known."""
        self._left = LARGEST

    def seal(self, handshake: Handshake, most: int) -> None:
        """From now on; the far end takes pieces of *most* bytes, sealing included (RFC 4752 3.3)."""
        self._handshake = handshake
        self._piece = max(1024, min(_PIECE, most) - 512)

    def sendall(self, content: bytes) -> None:
        if self._handshake is None:
            self._socket.sendall(content)
            return
        for start in range(0, len(content), self._piece):
            sealed = self._handshake.wrap(content[start : start + self._piece], sealed=True)
            self._socket.sendall(len(sealed).to_bytes(4) + sealed)

    def recv(self, most: int) -> bytes:
        """What came; sealed: a whole piece, whatever *most* says."""
        if self._handshake is None:
            return self._received(most)
        head = self._exactly(4)
        if not head:
            return b""
        return self._handshake.unwrap(self._exactly(int.from_bytes(head)))

    def _exactly(self, size: int) -> bytes:
        """*size* bytes, or none where the far end is gone before the first."""
        if size > _BUFFER:
            raise OSError(f"a sealed answer of {size} bytes")
        parts: list[bytes] = []
        while size:
            part = self._received(min(size, _PIECE))
            if not part:
                if parts:
                    raise OSError("it was cut off in the middle of an answer")
                return b""
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _received(self, most: int) -> bytes:
        if self._monotonic() > self._until:
            raise OSError(f"it did not answer within {LONGEST:.0f} s")
        part: bytes = self._socket.recv(most)
        self._left -= len(part)
        if self._left < 0:
            raise OSError("it answers with more bytes than any list of machines has; give a narrower base or filter")
        return part


def _found(connection: _Connection, listed: DirectorySources) -> Iterator[str]:
    cookie: bytes | None = None
    objects = empty = 0
    while True:
        connection.search(
            listed.base,
            listed.filter,
            ldap3.SUBTREE,
            attributes=[listed.attribute, "userAccountControl"],
            paged_size=PAGE,
            paged_cookie=cookie,
        )
        _require_good(connection.result)
        entries = [entry for entry in connection.response or () if entry.get("type") == "searchResEntry"]
        objects += len(entries)
        if objects > MOST:
            raise SourceProblem(f"it finds more than {MOST} objects; give a narrower base or filter")
        for entry in entries:
            yield from _values(entry["raw_attributes"], listed.attribute)
        control = (connection.result.get("controls") or {}).get(_PAGED)
        cookie = control["value"]["cookie"] if control else None
        if not cookie:
            return
        empty = 0 if entries else empty + 1  # such a page is no end (RFC 2696 3), but a list cut short there
        if empty > EMPTY:
            raise SourceProblem("it answers page after page without an object; give a narrower base or filter")


def _values(attributes: dict[str, Sequence[bytes]], wanted: str) -> Iterator[str]:
    folded = {name.lower(): values for name, values in attributes.items()}
    if any(value.isdigit() and int(value[:10]) & DISABLED for value in folded.get("useraccountcontrol", ())):
        return
    for value in folded.get(wanted.lower(), ()):
        yield value.decode("utf-8", errors="replace")[:LONGEST_VALUE]


def _require_good(result: dict[str, Any]) -> None:
    code = result["result"]
    if code != 0:
        said = _plain(f"{result.get('description')} {result.get('message') or ''}")
        remedy = _REMEDIES.get(code)
        raise SourceProblem(f"it answers {said}" + (f": {remedy}" if remedy else ""))


def _plain(text: str) -> str:
    """One printable line of a far end's words."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:300]
