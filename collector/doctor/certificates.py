"""What is wrong with certificates: dates, purposes, names, strength, who signed whom, and whose list is stale.

Pure: parsed certificates and lists come in with the time. What the listener itself would say to a client's certificate
is asked of the mechanism, so that doctor and door cannot disagree.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from collector.auth.base import Admitted, Refused, Visitor
from collector.auth.certificate import Authorities, CertificateMechanism, name_of, names_of, thumbprint
from collector.clock import Clock
from collector.doctor.findings import Finding, ok, problem, warning

SOON = timedelta(days=30)
"""A certificate that ends within a month is worth a word: renewals need a change window."""
SHORTEST_RSA = 2048
"""Bits; Windows refuses less than 1024 and OpenSSL at its default level less than 2048."""
_WEAK = ("md5", "sha1")
_DER, _PUBLIC = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate and the file it is from."""

    path: str
    certificate: x509.Certificate

    @property
    def subject(self) -> str:
        return f"certificate {self.path} ({described(self.certificate)})"


def described(certificate: x509.Certificate) -> str:
    """Its name for people: the subject, else the first name in it."""
    return certificate.subject.rfc4514_string() or name_of(certificate) or f"serial {certificate.serial_number:x}"


def look_at_server(held: Held, chain: Sequence[Held], host: str | None, now: datetime) -> Iterator[Finding]:
    """The listener's own certificate. *chain*: what its file and client_ca have beside it; *host*: the policy's."""
    yield from life(held, now)
    yield from strength(held)
    yield from _purpose(held, ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth", "Server Authentication")
    yield from _server_names(held, host)
    yield from path_of(held, chain, now)


def look_at_authority(held: Held, now: datetime) -> Iterator[Finding]:
    """A CA whose clients are let in: what the policy calls it, and whether it can sign."""
    yield ok(held.subject, f"it is a CA; in the policy of its clients: IssuerCA={thumbprint(held.certificate).upper()}")
    yield from life(held, now)
    yield from strength(held)
    if not can_sign(held.certificate):
        yield problem(
            held.subject,
            "it is no CA (basicConstraints CA, or keyUsage keyCertSign, is missing), so nothing it signed is trusted.",
            "Put the CA that issued the clients' certificates into client_ca, not one of those certificates.",
        )


def look_at_namesakes(authorities: Sequence[Held]) -> Iterator[Finding]:
    """Two CAs of one name are usual during a renewal; the policy needs the right thumbprint."""
    for name in dict.fromkeys(held.certificate.subject for held in authorities):
        prints = {thumbprint(held.certificate).upper() for held in authorities if held.certificate.subject == name}
        if len(prints) > 1:
            yield warning(
                f"CA {name.rfc4514_string()}",
                f"there are {len(prints)} of this name: {', '.join(sorted(prints))}.",
                "Fine during a renewal: each source's policy needs the IssuerCA that signed its own certificate.",
            )


def look_at_client(held: Held, authorities: Authorities, clock: Clock) -> Iterator[Finding]:
    """What the listener would say to this client certificate."""
    issuer = authorities.issuer_of(held.certificate)
    visitor = Visitor("127.0.0.1", True, certificate=held.certificate.public_bytes(_DER))
    match CertificateMechanism(authorities, clock).admit(visitor, ""):
        case Admitted(caller):
            assert issuer is not None
            yield from strength(held)
            yield from life(Held("its CA", issuer), clock.now())
            yield ok(
                held.subject,
                f"it would be let in as {caller.key} (names {', '.join(names_of(held.certificate))}),"
                f" by the CA {described(issuer)}; policy: IssuerCA={thumbprint(issuer).upper()}",
            )
        case Refused(reason):
            yield problem(held.subject, f"it would be refused: {reason}.", _admission(issuer))
        case _:
            yield problem(held.subject, "it would not be looked at.", "Add certificate to authentication.")


def _admission(issuer: x509.Certificate | None) -> str:
    if issuer is None:
        return "Add the issuing CA to client_ca, or issue the certificate from one of: see wef doctor cert."
    return "Issue a new client certificate: purpose Client Authentication, SAN with the machine's full DNS name."


def life(held: Held, now: datetime) -> Iterator[Finding]:
    """Its dates."""
    begins, ends = held.certificate.not_valid_before_utc, held.certificate.not_valid_after_utc
    if now > ends:
        yield problem(held.subject, f"it has expired on {ends:%Y-%m-%d}.", "Renew it, then reload (SIGHUP).")
    elif now < begins:
        yield problem(
            held.subject,
            f"it is valid from {begins:%Y-%m-%d %H:%M} UTC only.",
            "Look at this machine's clock (timedatectl); otherwise wait or issue it anew.",
        )
    elif ends < now + SOON:
        yield warning(held.subject, f"it expires on {ends:%Y-%m-%d}, in {(ends - now).days} days.", "Renew it in time.")
    else:
        yield ok(held.subject, f"it is valid until {ends:%Y-%m-%d}.")


def strength(held: Held) -> Iterator[Finding]:
    """Signature and key. A root's own signature protects nothing, so its hash does not matter."""
    algorithm = _digest_of(held.certificate)
    self_signed = held.certificate.issuer == held.certificate.subject
    if algorithm is not None and algorithm.name in _WEAK and not self_signed:
        yield problem(
            held.subject,
            f"it is signed with {algorithm.name.upper()}, which TLS libraries refuse.",
            "Issue it anew with SHA-256.",
        )
    key = held.certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        yield problem(
            held.subject, f"its RSA key has {key.key_size} bits.", f"Issue it anew with {SHORTEST_RSA} bits or more."
        )
    elif isinstance(key, dsa.DSAPublicKey):
        yield problem(held.subject, "it has a DSA key, which TLS no longer knows.", "Issue it anew with RSA or ECDSA.")
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
        yield warning(held.subject, f"its curve is {key.curve.name}.", "Windows takes P-256 and P-384 everywhere.")


def _digest_of(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None


def path_of(held: Held, others: Sequence[Held], now: datetime) -> Iterator[Finding]:
    """Who signed it, up to a root, as far as *others* go, and whether they may and still can."""
    seen = [held.certificate]
    while seen[-1].issuer != seen[-1].subject:
        signers = [one.certificate for one in others if signed_by(seen[-1], one.certificate)]
        # a renewed CA often keeps its key, and the old certificate lies beside it
        signer = max(signers, key=lambda one: can_sign(one) and now <= one.not_valid_after_utc, default=None)
        if signer is None or signer in seen:
            yield warning(
                held.subject,
                f"{described(seen[-1])} was signed by {seen[-1].issuer.rfc4514_string()}, which no file here has.",
                "Append intermediate CAs to its file; the root belongs into the sources' Trusted Root store.",
            )
            return
        seen.append(signer)
    unfit = next((one for one in seen[1:] if not can_sign(one) or now > one.not_valid_after_utc), None)
    if unfit is not None:
        yield problem(
            held.subject,
            f"it was signed by {described(unfit)}, which"
            + (" is no CA." if not can_sign(unfit) else f" has expired on {unfit.not_valid_after_utc:%Y-%m-%d}."),
            "No source trusts it then: replace that CA's certificate in the chain, or issue this one by another CA.",
        )
    elif len(seen) == 1:
        yield warning(
            held.subject,
            "it is self-signed.",
            "Sources trust it only if this very certificate is in their Trusted Root store; use a CA.",
        )
    else:
        yield ok(held.subject, "signed by " + ", by ".join(described(one) for one in seen[1:]) + ": complete.")


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """By name and signature, not by dates."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def can_sign(certificate: x509.Certificate) -> bool:
    """Whether it may issue others (RFC 5280 4.2.1.3, 4.2.1.9)."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid  # without keyUsage every use is allowed; without the other none


def public_half(certificate: x509.Certificate) -> bytes:
    """Its public key in DER, to compare a private key's with."""
    return certificate.public_key().public_bytes(_DER, _PUBLIC)


def look_at_key(held: Held | None, public: bytes, path: str, mode: int) -> Iterator[Finding]:
    """The private key's file: *public* is its public half in DER, *mode* its rights. *held* None: it came alone."""
    subject = f"key {path}"
    if held is None:
        yield warning(subject, "there is no certificate beside it.", "Name its certificate too, to see if they fit.")
    elif public != public_half(held.certificate):
        yield problem(
            subject, f"it does not belong to {held.path}.", "Name the key that this certificate was made for."
        )
    else:
        yield ok(subject, f"it belongs to {held.path}.")
    if mode & 0o027:
        yield problem(
            subject,
            f"others can read or write it (mode {mode & 0o7777:04o}).",
            "chown root:wef-collector FILE; chmod 640 FILE; a new key if anybody else had access.",
        )


def _purpose(held: Held, oid: x509.ObjectIdentifier, word: str, spelled: str) -> Iterator[Finding]:
    try:
        usages = held.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        yield warning(
            held.subject, f"it names no purpose; Windows wants {word}.", f"Issue it with the purpose {spelled}."
        )
        return
    if oid not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
        yield problem(
            held.subject, f"it is not made for {spelled} (extended key usage).", f"Issue it with the purpose {spelled}."
        )


def _server_names(held: Held, host: str | None) -> Iterator[Finding]:
    known = alternative_names(held.certificate)
    if not known:
        yield problem(
            held.subject,
            "it has no subject alternative name; sources compare the policy's name with those (RFC 6125).",
            "Issue it with a SAN dNSName of " + (host or "the name in the policy") + ".",
        )
    elif host is not None and not covers(known, host):
        yield problem(
            held.subject,
            f"it is for {', '.join(known[:5])}, not for {host}, the name in the policy.",
            "Put one of its names into the policy (hostname of the listener), or issue it for that name.",
        )
    else:
        yield ok(held.subject, f"it is for {', '.join(known[:5])}.")


def alternative_names(certificate: x509.Certificate) -> list[str]:
    """DNS names and addresses of the SAN."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)]


def covers(known: Sequence[str], host: str) -> bool:
    """Whether *host* is one of *known*; a wildcard stands for the first label only (RFC 6125 6.4.3)."""
    folded, wanted = [name.lower() for name in known], host.lower().rstrip(".")
    if wanted in folded:
        return True
    try:
        ipaddress.ip_address(wanted)
    except ValueError:
        return f"*.{wanted.partition('.')[2]}" in folded
    return False
