"""Whether the name in the policy leads here. Windows asks DNS for it and, with Kerberos, the directory for its service.

Resolving is handed in (``Resolver``): this file decides and asks nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Protocol

from collector.doctor.findings import Finding, ok, problem, warning


class Resolver(Protocol):
    """Name service, and which addresses are ours."""

    def addresses(self, host: str) -> Sequence[str]:
        """Every address of *host*, none when it has none."""

    def name(self, address: str) -> str | None:
        """The name that the reverse zone has for *address*."""

    def local(self, address: str) -> bool:
        """Whether *address* is one of this machine."""


def look_at_name(host: str, resolver: Resolver, *, kerberos: bool) -> Iterator[Finding]:
    """What sources meet when they follow *host* out of the policy. *kerberos*: they need a ticket for it."""
    subject = f"name {host}"
    if kerberos:
        yield from _fit_for_kerberos(subject, host)
    if is_address(host):
        return
    addresses = resolver.addresses(host)
    if not addresses:
        yield problem(
            subject,
            "it does not resolve on this machine, and hardly on the sources.",
            "Make a DNS record (A or AAAA) for it; on a source: Resolve-DnsName " + host,
        )
        return
    strange = [address for address in addresses if not resolver.local(address)]
    if len(strange) == len(addresses):
        yield warning(
            subject,
            f"it resolves to {', '.join(addresses[:4])}, which is not this machine.",
            "Right behind a load balancer or address translation; otherwise correct the DNS record.",
        )
    elif host.lower().rstrip(".") != "localhost" and all(ipaddress.ip_address(one).is_loopback for one in addresses):
        yield warning(
            subject,
            f"here it resolves to {', '.join(addresses[:4])}, which says nothing about what sources find.",
            "/etc/hosts of this machine says so; on a source: Resolve-DnsName " + host,
        )
    else:
        yield ok(subject, f"it resolves to this machine ({', '.join(addresses[:4])}).")
        yield from _reverse(subject, host, next(one for one in addresses if one not in strange), resolver)


def _fit_for_kerberos(subject: str, host: str) -> Iterator[Finding]:
    if is_address(host):
        yield problem(
            subject,
            "Windows asks for no ticket for an IP address (0x8033810B).",
            "Put the full DNS name into the policy, and set hostname of the listener to it.",
        )
    elif host.lower().rstrip(".") == "localhost":
        yield warning(
            subject,
            "Windows asks for no ticket for localhost (0x8033810E); good for trials on this machine.",
            "For sources, set hostname of the listener to the full DNS name.",
        )
    elif "." not in host.rstrip("."):
        yield warning(
            subject,
            "it is a short name; tickets are for full names, and Windows does not complete it everywhere.",
            "Put the full DNS name into the policy.",
        )


def _reverse(subject: str, host: str, address: str, resolver: Resolver) -> Iterator[Finding]:
    """Windows does not look; Linux clients with ``rdns`` do, and ask for a ticket of the name found there."""
    back = resolver.name(address)
    folded = host.lower().rstrip(".")
    if back is not None and back.lower().rstrip(".") != folded and not ipaddress.ip_address(address).is_loopback:
        yield warning(
            subject,
            f"the reverse record of {address} is {back}; Windows does not mind, other clients may ask for its ticket.",
            f"Let the reverse record name {host}, or register HTTP/{back} too.",
        )


def is_address(host: str) -> bool:
    """Whether *host* is an IP address, IPv6 in brackets too."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
