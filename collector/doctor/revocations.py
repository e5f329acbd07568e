"""What is wrong with revocation lists: whose they are, whether they are still good, and which CA has none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from collector.doctor.certificates import Held, described
from collector.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes

SOON = timedelta(days=2)
"""CAs publish daily to weekly; less than two days left means that the copying job missed a turn."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A revocation list and the file it is from."""

    path: str
    crl: x509.CertificateRevocationList

    @property
    def subject(self) -> str:
        return f"crl {self.path} ({self.crl.issuer.rfc4514_string()})"


def look_at_lists(lists: Sequence[Listed], authorities: Sequence[Held], now: datetime) -> Iterator[Finding]:
    """All lists against all CAs; nothing where there is no list: then nobody is asked for one."""
    for listed in lists:
        yield from _whose(listed, authorities)
        yield from _age(listed, now)
    for held in authorities if lists else ():
        if not any(signed(listed.crl, held.certificate) for listed in lists):
            yield problem(
                f"CA {described(held.certificate)}",
                "there is no revocation list of it, and there are others: all its sources are refused.",
                "Add its list to crl, or leave crl out altogether.",
            )


def signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    """By name and signature: two CAs of one name have a list each."""
    if crl.issuer != authority.subject:
        return False
    try:
        return crl.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", authority.public_key()))
    except (TypeError, UnsupportedAlgorithm):
        return False


def _whose(listed: Listed, authorities: Sequence[Held]) -> Iterator[Finding]:
    if any(signed(listed.crl, held.certificate) for held in authorities):
        return
    namesake = any(held.certificate.subject == listed.crl.issuer for held in authorities)
    text = "it is of a CA of that name with another key." if namesake else "none of the CAs signed it."
    yield problem(
        listed.subject, text, "Take the list that the CA in client_ca publishes, or add the CA that signed this one."
    )


def _age(listed: Listed, now: datetime) -> Iterator[Finding]:
    made, ends = listed.crl.last_update_utc, listed.crl.next_update_utc
    size = sum(1 for _ in listed.crl)
    text = f"made on {made:%Y-%m-%d}, {size} revoked"
    if made > now:
        yield problem(listed.subject, f"it is from {made:%Y-%m-%d %H:%M} UTC, the future.", "Look at timedatectl.")
    elif ends is None:
        yield warning(listed.subject, f"{text}; it has no end, so nobody notices when it is old.", "Fetch it daily.")
    elif ends < now:
        yield problem(
            listed.subject,
            f"it has expired on {ends:%Y-%m-%d}: the sources of its CA are refused.",
            "Fetch the new list (certutil -crl on the CA publishes one), then reload (SIGHUP); do it by a timer.",
        )
    elif ends < now + SOON:
        yield warning(listed.subject, f"it ends on {ends:%Y-%m-%d %H:%M} UTC; {text}.", "Fetch the new list.")
    else:
        yield ok(listed.subject, f"it is good until {ends:%Y-%m-%d}; {text}.")
