"""What ``wef check`` finds about the files of a ``[credentials.NAME]``: whether they can be read, and whether they fit.

It asks what ``serve`` would ask at its start, and then looks at what that takes silently: dates, rights, and a keytab
without the principal's key. It asks no KDC and calls nobody; ``wef pull test`` does.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from collector.auth.keytab import Entry, read_keytab
from collector.config.pull import CredentialsSettings
from collector.doctor.certificates import described
from collector.doctor.keytabs import look_at_keytab
from collector.doctor.pile import Pile
from collector.errors import OperatorError
from collector.wire.access import Access

SOON = timedelta(days=30)
"""A certificate that ends within a month is worth a word: renewals need a change window."""
SHOWN = 5  # principals of a keytab that are listed


def credential_problems(name: str, credentials: CredentialsSettings, now: datetime) -> tuple[list[str], list[str]]:
    """(problems, warnings) about ``[credentials.NAME]``, as sentences. *now* is an aware time."""
    unreadable = list(_unreadable(name, credentials))
    if unreadable:
        return unreadable, []
    try:
        Access(name, credentials)
    except OperatorError as error:
        return list(error.problems), []
    problems, warnings = _keytab_findings(name, credentials)
    found = _certificate_findings(name, credentials, now)
    return problems + found[0], warnings + found[1] + list(_looseness(name, credentials))


def _unreadable(name: str, credentials: CredentialsSettings) -> Iterator[str]:
    """All of them at once: whoever copies files to a new machine forgets more than one."""
    for key in ("keytab", "certificate", "key", "ca"):
        path: Path | None = getattr(credentials, key)
        try:
            if path is not None:
                path.open("rb").close()
        except OSError as error:
            yield f"at credentials.{name}.{key}: {path} cannot be read: {error.strerror}."


def _keytab_findings(name: str, credentials: CredentialsSettings) -> tuple[list[str], list[str]]:
    path, principal = credentials.keytab, credentials.principal
    if path is None or principal is None:
        return [], []
    at = f"at credentials.{name}.keytab"
    try:
        entries = read_keytab(path)
    except OperatorError as error:
        return [f"{at}: {text}" for text in error.problems], []
    mine = [entry for entry in entries if principal in (entry.principal, entry.name)]
    if not mine:
        return [f"{at}: {path} has no key of {principal}{_spelled(entries, principal)}; it holds {_held(entries)}."], []
    problems: list[str] = []
    warnings: list[str] = []
    for finding in look_at_keytab(at, mine, path.stat().st_mode, allow_rc4=credentials.allow_rc4):
        if finding.severity in ("problem", "warning"):
            sentence = f"{finding.subject}: {finding.text}"
            (problems if finding.severity == "problem" else warnings).append(sentence)
    return problems, warnings


def _spelled(entries: Sequence[Entry], principal: str) -> str:
    """Principals are told apart by their letters' case, which people do not expect."""
    folded = principal.lower()
    near = next((entry.principal for entry in entries if folded in (entry.principal.lower(), entry.name.lower())), "")
    return f" (there is one of {near}, spelled otherwise)" if near else ""


def _held(entries: Sequence[Entry]) -> str:
    names = list(dict.fromkeys(entry.principal for entry in entries))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none at all") + more


def _certificate_findings(name: str, credentials: CredentialsSettings, now: datetime) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    warnings: list[str] = []
    for key in ("certificate", "ca"):
        path: Path | None = getattr(credentials, key)
        if path is None:
            continue
        at = f"at credentials.{name}.{key}"
        try:
            held = [one.certificate for one in Pile.of([path]).certificates]
        except OperatorError as error:  # what OpenSSL takes, others may not
            problems += [f"{at}: {text}" for text in error.problems]
            continue
        for certificate in held[:1] if key == "certificate" else held:
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            what = f"{at}: {described(certificate)} in {path}"
            if now > ends:
                problems.append(f"{what} has expired on {ends:%Y-%m-%d}. Renew it.")
            elif now < begins:
                problems.append(f"{what} is valid from {begins:%Y-%m-%d} only. Is this machine's clock right?")
            elif ends < now + SOON:
                warnings.append(f"{what} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days.")
    return problems, warnings


def _looseness(name: str, credentials: CredentialsSettings) -> Iterator[str]:
    """What is allowed, and should be known to be."""
    if credentials.key is not None:
        mode = credentials.key.stat().st_mode
        if mode & (stat.S_IRWXO | stat.S_IWGRP):
            said = f"{credentials.key} can be read or written by others (mode {stat.S_IMODE(mode):04o})"
            yield f"at credentials.{name}.key: {said}; chmod 640 or 600 it."
    if credentials.allow_unencrypted:
        yield (
            f"at credentials.{name}.allow_unencrypted: where a session can seal nothing, events cross the network in"
            " clear, and anybody on the way can write them; use https."
        )
    if any(pattern.strip("*") == "" for pattern in credentials.trusted_hosts):
        yield (
            f'at credentials.{name}.trusted_hosts: "*" is everybody: no source has to prove who it is, and anybody'
            " can be any. Name the hosts that cannot."
        )
