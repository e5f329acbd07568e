"""Files with certificates, keys and revocation lists, sorted by what is in them. It reads files and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from collector.doctor.certificates import Held
from collector.doctor.revocations import Listed
from collector.errors import OperatorError

UNREADABLE = 65
LARGEST = 16 * 2**20
"""Bytes: revocation lists of large houses have a few million."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key's file: its public half in DER, *mode* its rights. The key itself is let go."""

    path: str
    public: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Pile:
    """Everything that was in the files, in their order."""

    certificates: list[Held] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    lists: list[Listed] = field(default_factory=list)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Pile:
        """Raises ``OperatorError`` (65) for a file that cannot be read or holds none of these."""
        pile = cls()
        for path in paths:
            pile._add(path)
        return pile

    def _add(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST)
        except OSError as error:
            raise OperatorError(f"{path} cannot be read: {error.strerror}.", exit_code=UNREADABLE) from error
        before = len(self.certificates)
        try:
            found = self._pem(path, content) if b"-----BEGIN" in content else self._der(path, content)
            for held in self.certificates[before:]:
                _take_apart(held.certificate)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
            raise OperatorError(  # TypeError: a key with a password
                f"{path} cannot be taken apart: {str(error).partition(chr(10))[0][:120]}.", exit_code=UNREADABLE
            ) from error
        if not found:
            raise OperatorError(
                f"{path} holds no certificate, key or revocation list; PEM files begin with -----BEGIN.",
                exit_code=UNREADABLE,
            )

    def _pem(self, path: Path, content: bytes) -> bool:
        before = len(self.certificates) + len(self.keys) + len(self.lists)
        if b"-----BEGIN CERTIFICATE-----" in content:
            self.certificates.extend(Held(str(path), one) for one in x509.load_pem_x509_certificates(content))
        if b"PRIVATE KEY-----" in content:
            public = load_pem_private_key(content, None).public_key()
            der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.keys.append(Key(str(path), der, path.stat().st_mode))
        if b"-----BEGIN X509 CRL-----" in content:
            self.lists.append(Listed(str(path), x509.load_pem_x509_crl(content)))
        return len(self.certificates) + len(self.keys) + len(self.lists) > before

    def _der(self, path: Path, content: bytes) -> bool:
        try:
            self.certificates.append(Held(str(path), x509.load_der_x509_certificate(content)))
        except ValueError:
            try:
                self.lists.append(Listed(str(path), x509.load_der_x509_crl(content)))
            except ValueError:
                return False
        return True


def _take_apart(certificate: x509.Certificate) -> None:
    """The library reads these when they are asked for; here is where a broken one has a file's name. Raises."""
    certificate.extensions  # noqa: B018 - read
    certificate.subject  # noqa: B018 - read
    certificate.issuer  # noqa: B018 - read
    certificate.public_key()
