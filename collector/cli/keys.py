"""What ``wef check`` finds about the certificates, keys, CAs, CRLs and keytabs of a listener.

It asks the listener itself and the mechanisms first, so that it says what ``serve`` would
say, and then looks at what they take silently: dates, names, and lists that cover nothing.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from collector.auth.certificate import Authorities
from collector.auth.keytab import read_keytab
from collector.auth.mechanisms import MECHANISMS
from collector.clock import ManualClock
from collector.config.settings import ListenerSettings
from collector.doctor.certificates import alternative_names, covers, described
from collector.doctor.keytabs import look_at_keytab, names
from collector.doctor.pile import Pile
from collector.errors import OperatorError
from collector.listener.serving import tls_context

SOON = timedelta(days=30)
"""A certificate that ends within a month is worth a word: renewals need a change window."""


def key_problems(name: str, listener: ListenerSettings, now: datetime) -> tuple[list[str], list[str]]:
    """(problems, warnings) about the files of *listener*, as sentences. *now* is an aware time."""
    problems, warnings = _keytab_findings(name, listener, now)
    if listener.transport == "https":
        found = _tls_findings(name, listener, now)
        problems, warnings = problems + found[0], warnings + found[1]
    return problems, warnings


def _keytab_findings(name: str, listener: ListenerSettings, now: datetime) -> tuple[list[str], list[str]]:
    """What the mechanism says at a start, and then the names, rights and encryption that it takes silently."""
    chosen = [word for word in listener.authentication if word in ("kerberos", "negotiate")]
    if not chosen or listener.keytab is None:
        return [], []
    try:
        MECHANISMS[chosen[0]](listener, ManualClock(now))
        entries = read_keytab(listener.keytab)
        mode = listener.keytab.stat().st_mode
    except OperatorError as error:
        return [f"at listeners.{name}.keytab: {text}" for text in error.problems], []
    subject = f"keytab {listener.keytab.name}"
    findings = list(look_at_keytab(subject, entries, mode, allow_rc4=listener.allow_rc4))
    if listener.hostname is not None:
        findings += names(subject, entries, listener.hostname)
    said = [(finding.severity, f"{finding.subject}: {finding.text}") for finding in findings]
    return [text for severity, text in said if severity == "problem"], [
        text for severity, text in said if severity == "warning"
    ]


def _tls_findings(name: str, listener: ListenerSettings, now: datetime) -> tuple[list[str], list[str]]:
    problems = list(_unreadable(name, listener))
    if problems:
        return problems, []
    try:
        tls_context(name, listener)
        authorities = Authorities.load(listener.client_ca, listener.crl)
    except OperatorError as error:
        return list(error.problems), []
    assert listener.certificate is not None
    assert listener.key is not None
    try:
        own = [held.certificate for held in Pile.of([listener.certificate]).certificates]
    except OperatorError as error:  # what OpenSSL takes, others may not
        return list(error.problems), []
    problems += _date_problems(f"certificate {listener.certificate}", own[0], now)
    problems += [
        found
        for authority in authorities.certificates
        for found in _date_problems(f"client_ca {authority.subject.rfc4514_string()}", authority, now)
    ]
    problems += _revocation_problems(authorities, now)
    return (
        problems,
        [
            *(  # of the chain that is served with it, and no problem where another one leads to the root as well
                text
                for signer in own[1:]
                for text in _date_problems(f"{described(signer)} in {listener.certificate}", signer, now)
            ),
            *_name_warnings(listener, own[0]),
            *_soon(listener.certificate, own[0], now),
            *_open_key(listener.key),
        ],
    )


def _unreadable(name: str, listener: ListenerSettings) -> Iterator[str]:
    """All of them at once: whoever copies certificates to a new machine forgets more than one."""
    named = [("certificate", listener.certificate), ("key", listener.key)]
    named += [("client_ca", path) for path in listener.client_ca] + [("crl", path) for path in listener.crl]
    for key, path in named:
        try:
            if path is not None:
                path.open("rb").close()
        except OSError as error:
            yield f"at listeners.{name}.{key}: {path} cannot be read: {error.strerror}; name a PEM file."


def _date_problems(what: str, certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        yield f"{what} has expired on {ends:%Y-%m-%d}; no source will trust it. Renew it."
    elif now < begins:
        yield f"{what} is valid from {begins:%Y-%m-%d} only. Is this machine's clock right?"


def _soon(path: Path, certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    ends = certificate.not_valid_after_utc
    if now <= ends < now + SOON:
        yield f"certificate {path} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days."


def _revocation_problems(authorities: Authorities, now: datetime) -> Iterator[str]:
    """Every client CA needs a list once there is any; without one its sources are refused."""
    if not authorities.revocations:
        return
    for authority in authorities.certificates:
        mine = [crl for crl in authorities.revocations if crl.issuer == authority.subject]
        name = authority.subject.rfc4514_string()
        if not mine:
            yield f"crl: there is no revocation list of {name}, so its sources are refused. Add it, or leave crl out."
        for crl in mine:
            if crl.next_update_utc is not None and crl.next_update_utc < now:
                yield f"crl: the list of {name} has expired on {crl.next_update_utc:%Y-%m-%d}; fetch a new one."


def _name_warnings(listener: ListenerSettings, certificate: x509.Certificate) -> Iterator[str]:
    """Windows compares the host in the policy with the certificate (RFC 6125)."""
    known = alternative_names(certificate)
    if not known:
        yield f"certificate {listener.certificate} has no subject alternative name; sources may refuse it."
    elif listener.hostname is not None and not covers(known, listener.hostname):
        yield (
            f"certificate {listener.certificate} is for {', '.join(known[:5])}, not for hostname"
            f" {listener.hostname}; sources that use that name will refuse it."
        )


def _open_key(path: Path) -> Iterator[str]:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield f"key {path} can be read or written by others (mode {stat.S_IMODE(mode):04o}); chmod 640 or 600 it."
