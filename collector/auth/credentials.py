"""Who we are when we call, and whom we call: the values of the client role, checked. They hold no ticket.

They say where a secret comes from or are handed it resolved; they read no file and know no mechanism's workings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.errors import OperatorError

MECHANISMS = ("kerberos", "negotiate", "certificate", "none")
SERVICES = ("HTTP", "HOST", "WSMAN")
"""Service classes under which a Windows machine is known; every version asks for HTTP/ (protocol.md 3.4)."""
LOCAL = "<local>"
_TICKET_KEYS = ("principal", "keytab", "ccache", "username", "password")
_PATTERN = re.compile(r"[^\s,/]{1,255}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One ``[credentials.NAME]`` (contract.md 1.3). Raises ``OperatorError``, a sentence for each wrong key.

    *mechanism* is one of MECHANISMS. For kerberos and negotiate the ticket comes from *keytab* (with *principal*), from
    *ccache* (what kinit wrote; *principal* says which), or by *password* (with *username* or *principal*; resolved by
    the caller); without any of them from the default cache of whoever runs us. *certificate* and *key* are PEM files,
    *ca* the authorities for https. *trusted_hosts* are WinRM's TrustedHosts: globs, or ``<local>`` for names without a
    dot; of those hosts no proof is asked. *service* is the first part of the service principal name.
    """

    mechanism: str
    principal: str | None = None
    keytab: str | None = None
    ccache: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    allow_unencrypted: bool = False
    allow_rc4: bool = False
    service: str = "HTTP"

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise OperatorError(*(f"credentials: {problem}" for problem in problems))

    @property
    def account(self) -> str | None:
        """Whom a ticket is asked for, with a realm or in the default one; None: whoever the cache is of."""
        return self.principal or self.username

    def trusts(self, host: str) -> bool:
        """*host* is one of those that need not prove who they are."""
        return any(_fits(pattern, host) for pattern in self.trusted_hosts)

    def _problems(self) -> Iterator[str]:
        if self.mechanism not in MECHANISMS:
            yield f'mechanism: "{self.mechanism}" is none of {", ".join(MECHANISMS)}.'
            return
        if self.mechanism in ("kerberos", "negotiate"):
            yield from self._ticket_problems()
        else:
            yield from (
                f"{key}: only mechanism kerberos or negotiate has one, and this is {self.mechanism}; leave it out."
                for key in _TICKET_KEYS
                if getattr(self, key) is not None
            )
        if self.mechanism == "certificate" and self.certificate is None:
            yield "certificate: it is missing; give the PEM file that the far end knows us by, and key with it."
        if self.key is not None and self.certificate is None:
            yield "key: there is no certificate for it; give both."
        for pattern in self.trusted_hosts:
            if pattern.lower() != LOCAL and _PATTERN.fullmatch(pattern) is None:
                yield f'trusted_hosts: "{pattern}" names no host; give such as "pc01.dmz.example" or "*.dmz.example".'
        if self.service not in SERVICES:
            yield f'service: "{self.service}" is none of {", ".join(SERVICES)}.'

    def _ticket_problems(self) -> Iterator[str]:
        for key in _TICKET_KEYS:  # the value stays unsaid: it may be the password
            if not _is_text(getattr(self, key) or ""):
                yield f"{key}: it holds a NUL or bytes that are no UTF-8; Kerberos would read something else."
        sources = [key for key in ("keytab", "ccache", "password") if getattr(self, key) is not None]
        if len(sources) > 1:
            yield f"{' and '.join(sources)}: a ticket comes from one of them; leave the others out."
        if self.keytab is not None and self.principal is None:
            yield 'principal: it is missing; say whose key of the keytab counts, such as "collector@CORP.EXAMPLE".'
        if self.password is not None and self.account is None:
            yield 'username: it is missing; a password belongs to an account, such as "collector@CORP.EXAMPLE".'
        if self.username is not None and self.password is None:
            yield "password: it is missing; a username needs one (a principal has a keytab or a ccache)."
        if self.principal is not None and self.username is not None:
            yield "principal and username: they name the same thing; give one."
        if "\\" in (self.account or ""):
            yield f'username: Kerberos knows no "{self.account}"; write it as "collector@CORP.EXAMPLE".'


@dataclass(frozen=True, slots=True)
class Target:
    """Whom we call. *secure* is https; *binding* is then ``endpoint_binding`` of the certificate it served, or None.

    *realm* is the host's, where ours could not find it out itself.
    """

    host: str
    port: int
    secure: bool
    binding: bytes | None = None
    realm: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Nothing that is sent there leaves this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in ("localhost", "localhost.")

    def spn(self, service: str) -> str:
        """The service principal name. It ends in ``@`` where the realm is left to the KDC (RFC 6806 8).

        The host stays as it is written, as Windows does it: what DNS says it is really called is no authority.
        """
        return f"{service}/{self.host.removesuffix('.')}@{self.realm}"


def _fits(pattern: str, host: str) -> bool:
    host, folded = host.lower().removesuffix("."), pattern.lower()
    if folded == LOCAL:
        return "." not in host and ":" not in host
    if folded.startswith("[") and folded.endswith("]"):  # WinRM writes IPv6 addresses so
        folded = folded[1:-1]
    return re.fullmatch(".*".join(map(re.escape, folded.split("*"))), host) is not None


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
