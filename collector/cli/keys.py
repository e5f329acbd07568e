"""What ``wef check`` finds about the certificates, keys, CAs and CRLs of a listener.

It asks the listener itself and the mechanisms first, so that it says what ``serve`` would
say, and then looks at what they take silently: dates, names, and lists that cover nothing.
"""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from collector.auth.certificate import Authorities
from collector.config.settings import ListenerSettings
from collector.errors import OperatorError
from collector.listener.server import tls_context

SOON = timedelta(days=30)
"""A certificate that ends within a month is worth a word: renewals need a change window."""


def key_problems(name: str, listener: ListenerSettings, now: datetime) -> tuple[list[str], list[str]]:
    """(problems, warnings) about the files of *listener*, as sentences. *now* is an aware time."""
    if listener.transport != "https":
        return [], []
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
    own = x509.load_pem_x509_certificates(listener.certificate.read_bytes())
    problems += _date_problems(f"certificate {listener.certificate}", own[0], now)
    problems += [
        found
        for authority in authorities.certificates
        for found in _date_problems(f"client_ca {authority.subject.rfc4514_string()}", authority, now)
    ]
    problems += _revocation_problems(authorities, now)
    return problems, [
        *_name_warnings(listener, own[0]),
        *_soon(listener.certificate, own[0], now),
        *_open_key(listener.key),
    ]


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
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [
            *names.get_values_for_type(x509.DNSName),
            *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        ]
    except x509.ExtensionNotFound:
        known = []
    if not known:
        yield f"certificate {listener.certificate} has no subject alternative name; sources may refuse it."
    elif listener.hostname is not None and not _covers(known, listener.hostname):
        yield (
            f"certificate {listener.certificate} is for {', '.join(known[:5])}, not for hostname"
            f" {listener.hostname}; sources that use that name will refuse it."
        )


def _covers(known: Sequence[str], host: str) -> bool:
    folded, wanted = [name.lower() for name in known], host.lower()
    if wanted in folded:
        return True
    try:
        ipaddress.ip_address(wanted)
    except ValueError:
        return f"*.{wanted.partition('.')[2]}" in folded  # a wildcard stands for the first label only
    return False


def _open_key(path: Path) -> Iterator[str]:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield f"key {path} can be read or written by others (mode {stat.S_IMODE(mode):04o}); chmod 640 or 600 it."
