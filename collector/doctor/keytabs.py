"""What is wrong with a keytab, as far as the file alone shows; and why a ticket that was tried was not accepted.

Pure: entries and rights come in as values; trying is done in ``tickets``. What counts is the key: our acceptor has no
name, so MIT Kerberos opens a ticket with every key of the file whose encryption type fits, whatever its principal's
spelling and version (tried with 1.20). In Active Directory all names of one account share one key; in an MIT realm each
name has its own.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice

from collector.auth.keytab import Entry
from collector.doctor.findings import Finding, ok, problem, warning

SERVICES = ("HTTP", "HOST")
"""What Windows asks tickets for: HTTP/, and HOST/ from Server 2025 on (protocol.md 3.4)."""
SHOWN = 12
"""Principals listed in one sentence, realms looked at; a keytab of a joined machine has about ten names."""

_HARMLESS = re.compile(r"[A-Za-z0-9._:/@$-]{1,255}")


def look_at_keytab(subject: str, entries: Sequence[Entry], mode: int, *, allow_rc4: bool = False) -> Iterator[Finding]:
    """Everything about the file that needs no name: *mode* are its rights (``st_mode``)."""
    if not entries:
        yield problem(subject, "it is empty.", recipe("HOST", "REALM"))
        return
    yield ok(subject, f"it holds {holdings(entries)}.")
    yield from _rights(subject, mode)
    yield from _strength(subject, entries, allow_rc4=allow_rc4)
    realms = sorted({entry.realm for entry in entries})
    if len(realms) > 1:
        yield ok(subject, f"it serves {len(realms)} realms: {', '.join(realms[:SHOWN])}{_more(realms)}.")


def holdings(entries: Sequence[Entry]) -> str:
    """``HTTP/wec@R (version 3: aes256-..., 2026-03-01)``, each principal once with its newest version."""
    held: dict[str, list[Entry]] = {}
    for entry in entries:
        held.setdefault(entry.principal, []).append(entry)
    said = []
    for principal, mine in islice(held.items(), SHOWN):
        newest = max(entry.kvno for entry in mine)
        current = [entry for entry in mine if entry.kvno == newest]
        older = sorted({entry.kvno for entry in mine} - {newest})
        kept = f", and {', '.join(map(str, older))}" if older else ""
        types = ", ".join(dict.fromkeys(entry.encryption for entry in current))
        said.append(f"{principal} (version {newest}{kept}: {types}; {max(one.made for one in current):%Y-%m-%d})")
    return "; ".join(said) + _more(held)


def _more(of: Sized) -> str:
    return f" and {len(of) - SHOWN} more" if len(of) > SHOWN else ""


def names(
    subject: str, entries: Sequence[Entry], host: str, opened: Collection[str] = frozenset()
) -> Iterator[Finding]:
    """Whether the keys that Windows' tickets for *host* need are there, by name, in each realm of the file.

    *opened* are principals whose tickets were opened when it was tried: then the name does not matter.
    """
    for realm in sorted({entry.realm for entry in entries})[:SHOWN]:
        mine = [entry for entry in entries if entry.realm == realm]
        spelled = {entry.name for entry in mine}
        folded = {name.lower() for name in spelled}
        accounts = sorted(name for name in spelled if "/" not in name)
        for service in SERVICES:
            wanted = f"{service}/{host}"
            if wanted in spelled:
                yield ok(subject, f"there is a key for {wanted}@{realm}.")
            elif wanted.lower() in folded:
                found = next(name for name in sorted(spelled) if name.lower() == wanted.lower())
                yield ok(subject, f"there is a key for {found}@{realm}; Windows asks for {wanted}, the letters differ.")
            elif f"{wanted}@{realm}" in opened:
                yield ok(subject, f"tickets for {wanted}@{realm} are opened by a key of another name.")
            else:
                yield _missing(subject, f"{wanted}@{realm}", mine, accounts)


def _missing(subject: str, wanted: str, mine: Sequence[Entry], accounts: Sequence[str]) -> Finding:
    """Decided by what else there is: the key of an account opens the tickets of all its names."""
    service, _, rest = wanted.partition("/")
    host, _, realm = rest.rpartition("@")
    principals = list(dict.fromkeys(entry.principal for entry in mine))
    held = ", ".join(principals[:SHOWN]) + _more(principals)
    text = f"no key for {wanted}.\n  It holds: {held}. "
    if accounts:
        sentence = f"The key of {accounts[0]} opens it if the name is registered at that account."
        return warning(
            subject, text + sentence, f"setspn -L {typed(accounts[0])} lists its names; wef doctor keytab tries it."
        )
    if service != SERVICES[0]:
        return warning(
            subject,
            text + f"Windows Server 2025 and later ask for {service}/; another name's key opens it only if both"
            " are of one account.",
            f"setspn -S {service}/{typed(host)} ACCOUNT, the account that has HTTP/{typed(host)};"
            " in an MIT realm: ktadd it too.",
        )
    return problem(subject, text + "Clients ask for HTTP/<the name in the policy>.", recipe(host, realm))


def _rights(subject: str, mode: int) -> Iterator[Finding]:
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield problem(
            subject,
            f"others can read or write it (mode {stat.S_IMODE(mode):04o}); whoever has a keytab is the service.",
            "chown root:wef-collector FILE; chmod 640 FILE; and a new keytab if anybody else had access.",
        )


def _strength(subject: str, entries: Sequence[Entry], *, allow_rc4: bool) -> Iterator[Finding]:
    strong = {entry.principal for entry in entries if not entry.broken}
    weak = [name for name in dict.fromkeys(entry.principal for entry in entries) if name not in strong]
    if not weak:
        return
    text = f"only RC4 or DES keys for {', '.join(weak[:SHOWN])}{_more(weak)}."
    remedy = (
        "Let the account use AES (msDS-SupportedEncryptionTypes = 24, or the two AES boxes of the account), set its"
        " password anew, and make the keytab with /crypto AES256-SHA1."
    )
    if allow_rc4 or strong:
        yield warning(subject, text, remedy)
    else:
        yield problem(subject, f"{text} Sessions with them are refused (allow_rc4 = false).", remedy)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a ticket says in clear: who it is for, with which key it is closed. *kvno* None: it does not say."""

    service: str
    realm: str
    kvno: int | None
    encryption: str

    @property
    def principal(self) -> str:
        return f"{self.service}@{self.realm}"


def unopened(subject: str, entries: Sequence[Entry], ticket: Shown, said: str) -> Finding:
    """Why the keytab does not open *ticket*; *said* is Kerberos' own sentence."""
    host = ticket.service.partition("/")[2]
    anew = recipe(host, ticket.realm)
    mine = [entry for entry in entries if entry.principal.lower() == ticket.principal.lower()]
    version = f"version {ticket.kvno}" if ticket.kvno is not None else "no version"
    if not mine:
        return problem(
            subject,
            f"a ticket for {ticket.principal} was had, and none of its keys opens it: the name is missing.",
            anew,
        )
    newest = max(entry.kvno for entry in mine)
    if ticket.kvno is not None and ticket.kvno > newest:
        return problem(
            subject,
            f"the KDC closes tickets for {ticket.principal} with {version}, the file has {newest}:"
            " the account's password was changed after it was made.",
            anew,
        )
    if ticket.kvno is not None and ticket.kvno not in {entry.kvno for entry in mine}:
        return problem(
            subject,
            f"the KDC closes tickets for {ticket.principal} with {version}, the file has {newest} already.",
            "Wait until all domain controllers have the new password; keep the old version in the file until"
            " tickets of it have expired (10 hours).",
        )
    if ticket.encryption not in {entry.encryption for entry in mine}:
        types = ", ".join(dict.fromkeys(entry.encryption for entry in mine))
        return problem(
            subject,
            f"tickets for {ticket.principal} are closed with {ticket.encryption}, the file has {types} only.",
            f"Make the keytab with that type too (ktpass /crypto All), or take it from the account.\n{anew}",
        )
    return problem(
        subject,
        f"its key for {ticket.principal} ({version}, {ticket.encryption}) is not the KDC's: {said}.",
        f"Another password or salt was used when it was made.\n{anew}",
    )


def typed(name: str) -> str:
    """*name* as it may stand in a command that people paste into a shell; it comes from a file that anybody made."""
    return name if _HARMLESS.fullmatch(name) else "NAME"


def recipe(host: str, realm: str) -> str:
    """How a keytab is made anew, one line for each kind of domain.

    Those of a joined machine name no file: adcli and msktutil set the machine's password anew and read the old one from
    the keytab that they write, so any other file than the machine's own would part the two.
    """
    host, realm = typed(host), typed(realm)
    return "\n".join([
        "Make the keytab anew; one of:",
        f"  ktpass /princ HTTP/{host}@{realm} /mapuser ACCOUNT /pass * /ptype KRB5_NT_PRINCIPAL /crypto AES256-SHA1"
        " /out http.keytab   (Windows, as domain administrator; it sets a new password)",
        f"  setspn -S HOST/{host} ACCOUNT   (then HOST/ has the same key)",
        f"  samba-tool spn add HTTP/{host} ACCOUNT && samba-tool domain exportkeytab http.keytab"
        f" --principal=HTTP/{host}   (Samba)",
        f"  adcli update --add-service-principal=HTTP/{host}   (machine joined with adcli; then copy /etc/krb5.keytab)",
        "  msktutil update --service HTTP --service HOST   (machine joined with msktutil; then copy /etc/krb5.keytab)",
        f'  kadmin -q "ktadd -k http.keytab HTTP/{host} HOST/{host}"   (MIT realm)',
    ])  # fmt: skip
