"""Client certificates: the handshake has verified them, this file says whose they are.

The issuing CA is found by its signature, never by its name: during a renewal two CAs
carry the same name (protocol.md 3.6). The same way works on resumed sessions, whose
verified chain OpenSSL does not show; revocation is checked here again for the same
reason (dependencies.md 4.3, 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.auth.base import Admitted, Refused, Verdict, Visitor
from collector.auth.identity import folds_into_another
from collector.clock import Clock
from collector.errors import OperatorError
from collector.model import Caller

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes

LONGEST_NAME = 255  # a DNS name has at most 253 characters (RFC 1035); more is no machine's name


@dataclass(frozen=True, slots=True)
class Authorities:
    """The CAs whose clients we know, and their revocation lists."""

    certificates: Sequence[x509.Certificate]
    revocations: Sequence[x509.CertificateRevocationList] = ()

    @classmethod
    def load(cls, client_ca: Sequence[Path], crl: Sequence[Path] = ()) -> Authorities:
        """From PEM files, each with one or several entries. Raises ``OperatorError``."""
        certificates = [ca for path in client_ca for ca in _certificates(path)]
        return cls(certificates, [_revocation_list(path) for path in crl])

    def issuer_of(self, leaf: x509.Certificate) -> x509.Certificate | None:
        """The configured CA that signed *leaf*, or None."""
        for authority in self.certificates:
            try:
                leaf.verify_directly_issued_by(authority)  # names and signature, not dates
            except (ValueError, TypeError, InvalidSignature):
                continue
            return authority
        return None

    def objection(self, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime) -> str | None:
        """Why *leaf* is not good now although the handshake took it; None when it is."""
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            return f"its certificate is valid from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc} only"
        mine = [crl for crl in self.revocations if _signed(crl, issuer)]
        if self.revocations and not mine:
            return "there is no revocation list of its CA"
        for crl in mine:
            if crl.next_update_utc is not None and crl.next_update_utc < now:
                return f"the revocation list of its CA has expired on {crl.next_update_utc}"
            if crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None:
                return f"its certificate (serial {leaf.serial_number:x}) is revoked"
        return None


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 over the DER form in lower-case hex: what Windows calls IssuerCA."""
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - an identifier Windows prescribes, no protection


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """Every name a certificate carries: SAN dNSNames in order, then CNs in order."""
    return tuple(dict.fromkeys([*_dns_names(leaf), *_common_names(leaf)]))


def name_of(leaf: x509.Certificate) -> str:
    """The first SAN dNSName, else the last CN, else ``""`` (contract.md section 3)."""
    return next(iter([*_dns_names(leaf), *reversed(_common_names(leaf))]), "")


def _dns_names(leaf: x509.Certificate) -> list[str]:
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        return []


def _common_names(leaf: x509.Certificate) -> list[str]:
    return [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


class CertificateMechanism:
    """TLS client certificates ([DSP0226] C.3.5). The Authorization header is a hint and not needed."""

    name = "certificate"
    challenge = None

    def __init__(self, authorities: Authorities, clock: Clock) -> None:
        self._authorities = authorities
        self._clock = clock

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        if visitor.certificate is None:
            return None
        try:
            leaf = x509.load_der_x509_certificate(visitor.certificate)
            return self._judge(leaf, visitor)
        except ValueError as error:
            return Refused(f"its certificate cannot be read: {error}")

    def profile(self, secure: bool) -> str | None:
        return "https/mutual"

    def _judge(self, leaf: x509.Certificate, visitor: Visitor) -> Verdict:
        issuer = self._authorities.issuer_of(leaf)
        if issuer is None:
            return Refused(
                f"the CA {leaf.issuer.rfc4514_string()!r} that issued its certificate is not in client_ca;"
                " Windows sends no intermediate CA, so that file must hold it"
            )
        objection = self._authorities.objection(leaf, issuer, self._clock.now())
        if objection is not None:
            return Refused(objection)
        if not _for_clients(leaf):
            return Refused("its certificate is not meant for clients (extended key usage has no clientAuth)")
        name = name_of(leaf)
        if not 0 < len(name) <= LONGEST_NAME:
            return Refused(f"its certificate has no usable name: a SAN dNSName or a CN of 1 to {LONGEST_NAME} letters")
        if "@" in name or folds_into_another(name):  # PC01$@CORP is a Kerberos source's key (contract.md 3)
            return Refused(f"its certificate's name {name!a} could be another source's: no @ there, no look-alikes")
        return Admitted(
            Caller(
                key=name.lower(),
                name=name,
                principal=name,
                mechanism=self.name,
                address=visitor.address,
                names=names_of(leaf),
                issuer=thumbprint(issuer),
            )
        )


def _for_clients(leaf: x509.Certificate) -> bool:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # without the extension a certificate serves every purpose (RFC 5280 4.2.1.12)
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """By signature, as ``issuer_of``: two CAs of one name have a list each."""
    if crl.issuer != issuer.subject:
        return False
    try:
        return crl.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", issuer.public_key()))
    except (TypeError, UnsupportedAlgorithm):  # a key of a kind that signs nothing
        return False


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"client_ca {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise OperatorError(
            f"client_ca {path} holds no PEM certificate; it should begin with BEGIN CERTIFICATE."
        ) from error


def _revocation_list(path: Path) -> x509.CertificateRevocationList:
    try:
        content = path.read_bytes()
        return x509.load_pem_x509_crl(content) if b"-----BEGIN" in content else x509.load_der_x509_crl(content)
    except OSError as error:
        raise OperatorError(f"crl {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise OperatorError(f"crl {path} is no revocation list in PEM or DER.") from error
