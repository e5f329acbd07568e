"""Tries it: gets a ticket as a source would, and opens it with the keytab as the listener would.

Asks the KDC of krb5.conf and changes nothing: its tickets live in a folder of its own, which goes with them. Needs the
package gssapi; without it that is the finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.auth.keytab import Cursor, Entry, KeytabError
from collector.auth.tokens import TokenError, peek
from collector.clock import Clock
from collector.doctor.findings import Finding, ok, problem, warning
from collector.doctor.keytabs import SERVICES, Shown, recipe, typed, unopened

if TYPE_CHECKING:
    from collector.auth.gss_initiator import Ticket

SKEW = 300
"""Seconds that clocks may differ (RFC 4120 8.2, and the default of Active Directory)."""
NOTICEABLE = 30
"""Seconds: NTP keeps machines within one, so more means that nothing keeps this one."""
CANDIDATES = 4
"""Accounts of the keytab that are tried; each costs a question to the KDC."""
NO_CLIENT, NO_SERVICE, NO_TYPE, CLOCK = 6, 7, 14, 37  # RFC 4120 7.5.9
WRONG_KEY = (23, 24, 31)
"""Expired, refused, or an answer that our key does not open: in every case the file is older than the password."""
_CONFIGURATION = "X-CACHECONF:"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for the ticket: *principal* with the key in *keytab*, or with the tickets of whoever runs this (kinit).

    Without *principal* the accounts of the keytab under test are tried.
    """

    principal: str | None = None
    keytab: Path | None = None


class Trial:
    """Tickets for ``HTTP/host`` and ``HOST/host``, and whether *keytab* opens them: then they are in *opened*."""

    def __init__(self, subject: str, keytab: Path, entries: Sequence[Entry], host: str, clock: Clock) -> None:
        self._subject, self._keytab, self._entries, self._host, self._clock = subject, keytab, entries, host, clock
        self.opened: set[str] = set()

    def run(self, asking: Asking) -> Iterator[Finding]:
        try:
            import collector.auth.gss_initiator  # noqa: F401 - is the library there at all
        except ImportError as error:
            remedy = "pip install 'wef-collector[kerberos]'"
            yield warning(self._subject, f"no ticket was tried: {error}.", remedy)
            return
        with tempfile.TemporaryDirectory(prefix="wef-doctor-") as folder:
            cache = Path(folder) / "tickets"
            began = self._clock.now().timestamp()
            ticket = yield from self._ticket(asking, cache)
            if ticket is not None:
                if cache.exists():
                    yield from clocks(cache.read_bytes(), began)
                yield from self._use(ticket)

    def _ticket(self, asking: Asking, cache: Path) -> Generator[Finding, None, Ticket | None]:
        """The first account that gets one."""
        from collector.auth.gss import GssRefusal
        from collector.auth.gss_initiator import stored_ticket

        for principal, store in _accounts(self._keytab, self._entries, asking, cache):
            try:
                return stored_ticket(store, principal, negotiate=False)
            except GssRefusal as error:
                yield _not_had(self._subject, principal, error.code, str(error), asking)
                if error.code not in (NO_CLIENT, *WRONG_KEY):
                    return None  # nobody answers, or says the same to the next one
        return None

    def _use(self, ticket: Ticket) -> Iterator[Finding]:
        from collector.auth.gss import Acceptance, GssRefusal, acceptor_credentials
        from collector.auth.gss_initiator import Handshake

        realm = ticket.principal.rpartition("@")[2]
        for service in SERVICES:
            spn = f"{service}/{self._host}@{realm}"
            try:
                token = Handshake(ticket, spn, mutual=True, binding=None).step()
            except GssRefusal as error:
                yield _no_service(self._subject, spn, ticket.principal, error.code, str(error))
                continue
            assert token is not None, "the first step of an initiator always has one"
            shown = _shown(token, spn)
            try:
                Acceptance(acceptor_credentials(str(self._keytab)), None).step(token)
            except GssRefusal as error:
                yield unopened(self._subject, self._entries, shown, str(error))
                continue
            self.opened.add(spn)
            closed = f"version {shown.kvno}, {shown.encryption}" if shown.kvno is not None else shown.encryption
            text = f"a ticket for {shown.principal} ({closed}) was had as {ticket.principal}, and the keytab opens it."
            yield ok(self._subject, text)


def _accounts(
    keytab: Path, entries: Sequence[Entry], asking: Asking, cache: Path
) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Principals with the store that their ticket comes from, the likeliest first."""
    kept = f"FILE:{cache}"
    if asking.principal is not None or asking.keytab is not None:
        store = {"client_keytab": str(asking.keytab), "ccache": kept} if asking.keytab is not None else {}
        yield asking.principal, store
        return
    held = dict.fromkeys(entry.principal for entry in entries)
    # an account's own name has no slash; a service's name may ask for tickets only where it is a user's name too
    for principal in sorted(held, key=lambda name: ("/" in name, not name.startswith("HTTP/")))[:CANDIDATES]:
        yield principal, {"client_keytab": str(keytab), "ccache": kept}


def _not_had(subject: str, principal: str | None, code: int, said: str, asking: Asking) -> Finding:
    text = f"no ticket could be had as {principal or 'whoever runs this'}: {said}."
    if "cache" in said:  # MIT says so too when the client's keytab has no key of the name
        where = f"{asking.keytab} has no key of that name" if asking.keytab else "kinit has not been run for it"
        if asking.principal is None:
            where = "krb5.conf names no such realm"
        return problem(
            subject, f"{text} Either {where}, or its KDC cannot be asked.", "klist -k FILE; kinit -V ACCOUNT."
        )
    if code == NO_CLIENT and asking.principal is None:
        return warning(
            subject,
            f"{text} It is a service's name and not an account's, which is usual in Active Directory.",
            "Say who asks: --as ACCOUNT@REALM --client-keytab FILE, or kinit ACCOUNT and --as ACCOUNT@REALM.",
        )
    if code == NO_CLIENT:
        return problem(subject, text, "Write the account as the directory does, such as PC01$@CORP.EXAMPLE.")
    if code in WRONG_KEY:
        return problem(
            subject,
            f"{text} Its key is not the KDC's: the account's password was changed after the file was made.",
            recipe("HOST", (principal or "").rpartition("@")[2] or "REALM"),
        )
    if code == CLOCK:
        return problem(
            subject, text, "Set this machine's clock by the domain controllers: timedatectl, chronyc sources."
        )
    if code == NO_TYPE:
        return problem(
            subject, text, "msDS-SupportedEncryptionTypes = 24 on the account, a new password, and a new keytab."
        )
    if "KDC" in said or "realm" in said.lower():
        return problem(
            subject,
            text,
            "Name the domain controllers: [realms] in /etc/krb5.conf or the DNS records _kerberos._udp.REALM; port 88"
            " must be open, TCP and UDP.",
        )
    return problem(subject, text, "kinit -V with the same account shows more; KRB5_TRACE=/dev/stderr all of it.")


def _no_service(subject: str, spn: str, principal: str, code: int, said: str) -> Finding:
    text, name = f"no ticket for {spn} could be had as {principal}: {said}.", typed(spn.rpartition("@")[0])
    if code != NO_SERVICE:
        return problem(subject, text, f"kvno {name} shows more; KRB5_TRACE=/dev/stderr kvno {name} all of it.")
    remedy = (
        f"setspn -S {name} ACCOUNT (setspn -Q {name} shows who has it); samba-tool spn add {name} ACCOUNT; in an MIT"
        f" realm: kadmin -q 'addprinc -randkey {name}'"
    )
    if spn.startswith(f"{SERVICES[0]}/"):
        return problem(subject, f"{text} The name is not registered, so no source gets one either.", remedy)
    return warning(subject, f"{text} Windows Server 2025 and later ask for it.", remedy)


def _shown(token: bytes, spn: str) -> Shown:
    try:
        seen = peek(token)
    except TokenError:  # a mechanism that this version does not know; then only the library's words are left
        service, _, realm = spn.rpartition("@")
        return Shown(service, realm, None, "an unknown type")
    return Shown(seen.service, seen.realm, seen.kvno, seen.enctype)


def clocks(cache: bytes, began: float) -> Iterator[Finding]:
    """How far the KDC's clock is from ours: a new ticket begins when the KDC says it is now. *began*: POSIX seconds."""
    try:
        issued = issued_at(cache)
    except KeytabError:
        return
    if issued is None:
        return
    apart = round(issued - began)
    text = f"it is {abs(apart)} s {'behind' if apart > 0 else 'ahead of'} the KDC's"
    remedy = "Set this machine's clock by the domain controllers: timedatectl set-ntp true, chronyc sources."
    if abs(apart) > SKEW:
        yield problem("clock", f"{text}; more than {SKEW} s, and no ticket of a source is accepted.", remedy)
    elif abs(apart) > NOTICEABLE:
        yield warning("clock", f"{text}; at {SKEW} s sources are refused.", remedy)
    else:
        yield ok("clock", f"it agrees with the KDC's within {NOTICEABLE} s.")


def issued_at(cache: bytes) -> int | None:
    """When the first ticket of a credential cache was issued, POSIX seconds by the KDC's clock; None: it has none.

    MIT Kerberos documentation, "Credential cache file format", version 4. Keys and tickets are stepped over.
    Raises ``KeytabError``.
    """
    file = Cursor(cache, "big")
    if file.take(2) != b"\x05\x04":
        return None
    file.take(file.number(2))
    _principal(file)
    while file.left:
        _principal(file)
        realm = _principal(file)
        file.take(2)
        file.take(file.number(4))  # the session key
        issued = file.number(4)
        if realm != _CONFIGURATION:
            return issued
        file.take(3 * 4 + 1 + 4)
        for _ in range(2):  # addresses, authorization data
            for _ in range(file.number(4)):
                file.take(2)
                file.take(file.number(4))
        for _ in range(2):  # the ticket, and a second one
            file.take(file.number(4))
    return None


def _principal(file: Cursor) -> str:
    """Steps over one and gives its realm."""
    file.take(4)
    count = file.number(4)
    realm = file.text(4)
    for _ in range(count):
        file.take(file.number(4))
    return realm
