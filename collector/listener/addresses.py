"""IP addresses as texts: one spelling for each peer, and lists of those whose word counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def plain_address(text: str) -> str:
    """*text* without the zone of a link, and an IPv4 address as such where a socket for both shows it inside IPv6."""
    text = text.partition("%")[0]
    if text.startswith("::"):
        try:
            mapped = IPv6Address(text).ipv4_mapped
        except ValueError:
            return text
        if mapped is not None:
            return str(mapped)
    return text


class Networks:
    """Addresses and networks (CIDR), as the settings name them."""

    def __init__(self, written: Iterable[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text) for text in written]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:  # the peer has gone already
            return False
        return any(found in network for network in self._networks)
