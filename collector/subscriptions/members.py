"""Who may deliver to a subscription of type push: the machines that it calls, recognised by what they prove.

We call a machine by its host name and it comes back as an account or a certificate, so names are compared:

- A Kerberos ticket names an account, ``pc01$@CORP.EXAMPLE``: it is the machine whose first label that is, cut to the
  15 letters that an account has. The realm is not compared, because DNS names need not end in it.
- A certificate names hosts: one of them has to be the machine's full name, or its first label where either has no more.
- A source that is listed by its address has no name to compare. It is let in by the address that it comes from.
- Who proves nothing (``none``, on loopback only) is not judged, as everywhere.

Rules of ``[audience]`` and an SDDL count besides. It reads no list and no file: whoever does says what is in them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from collector.model import Caller
from collector.subscriptions.sources import ListedSources, SourceAddress
from collector.subscriptions.subscription import Subscription

ACCOUNT_LETTERS = 15
"""Of a machine's name in its account: NetBIOS has no more ([MS-ADTS] 3.1.1.5.1.2, sAMAccountName of computers)."""


@dataclass(frozen=True, slots=True)
class _Machines:
    names: frozenset[str]
    labels: frozenset[str]
    accounts: frozenset[str]
    addresses: frozenset[str]
    whole: bool

    def has(self, caller: Caller) -> bool:
        if _address(caller.address) in self.addresses:
            return True
        match caller.mechanism:
            case "none":
                return True
            case "certificate":
                return any(self._named(_folded(name)) for name in (caller.name, *caller.names))
            case _:
                account = _folded(caller.principal.rpartition("@")[0])
                kind, _, host = account.rpartition("/")
                if kind:  # host/pc01.corp.example: of machines that are no members of a Windows domain
                    return kind == "host" and self._named(host)
                return account.endswith("$") and account[:-1] in self.accounts

    def _named(self, name: str) -> bool:
        label = name.partition(".")[0]
        return name in self.names or (label in self.names if "." in name else label in self.labels)


class Members:
    """The machines of every subscription that calls its sources; it outlives the subscriptions, which are loaded anew.

    Until somebody has said what a subscription's lists hold, those count that stand in its own file.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Machines] = {}

    def put(self, subscription: str, addresses: Iterable[SourceAddress], *, whole: bool) -> None:
        """These are the sources of the subscription with this id; *whole*: every one of its lists could be read."""
        self._known[subscription] = _machines(addresses, whole)

    def forget(self, subscription: str) -> None:
        self._known.pop(subscription, None)

    def include(self, subscription: Subscription, caller: Caller) -> bool | None:
        """Whether *caller* is one of the sources; None: it is not known yet, because a list was not read."""
        machines = self._known.get(subscription.id) or _listed(subscription)
        return machines.has(caller) or (False if machines.whole else None)


def _listed(subscription: Subscription) -> _Machines:
    lists = [entry for entry in subscription.sources if isinstance(entry, ListedSources)]
    addresses = (address for entry in lists for address in entry.addresses)
    return _machines(addresses, whole=len(lists) == len(subscription.sources))


def _machines(addresses: Iterable[SourceAddress], whole: bool) -> _Machines:
    hosts = {address.host.lower().removesuffix(".") for address in addresses}
    literal = {host for host in hosts if _address(host)}
    labels = {host.partition(".")[0] for host in hosts - literal}
    return _Machines(
        names=frozenset(hosts - literal),
        labels=frozenset(labels),
        accounts=frozenset(label[:ACCOUNT_LETTERS] for label in labels),
        addresses=frozenset(_address(host) for host in literal),
        whole=whole,
    )


def _folded(proven: str) -> str:
    """In lower case, and ``""`` for what no host is called: some letters, such as U+212A, have another's lower case."""
    return proven.lower().removesuffix(".") if proven.isascii() else ""


def _address(text: str) -> str:
    """One spelling of one address, ``""`` for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
