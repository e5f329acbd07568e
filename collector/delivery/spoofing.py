"""Whether an event's Computer fits the caller who brought it, and what becomes of one that does not. Pure.

Nothing in the protocol binds the two: who the caller is was proven, Computer is text that whoever can write
an event can choose. What a subscription says about it (``[spoofing]``) is judged here; acted upon in ``receiver``.
It knows no store, no sink and no message.

An event without a Computer fits nobody: it may be one that we cannot read and somebody downstream can. But it
says nothing false either, and a log may well hold a mangled one. So ``reject``, which would end the subscription
over it at every delivery again, quarantines it instead.

An event may say Computer more than once. We read the last, whoever gets its XML may read the first: all must fit.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from collector.errors import SourceError
from collector.kernel.fields import Unreadable, computers
from collector.model import Caller, Key
from collector.subscriptions.audience import in_audience
from collector.subscriptions.subscription import Audience, Spoofing

TAG = "wef_computer_mismatch"
"""What documents of such events have among their ``tags``."""
LONGEST_SHOWN = 64
"""Letters of a Computer in logs and reasons; a DNS label has at most 63."""
ACCOUNT_LETTERS = 15
"""What Windows keeps of a longer host name in the machine's account and NetBIOS name."""
_COMPUTER = re.compile(r"<(?:[^<>\s/!?:]+:)?Computer[\s/>]")
DOMAIN_MECHANISMS = frozenset({"kerberos", "negotiate"})
REFUSED = 500  # contract.md 5: w:DeliveryRefused


class ComputerMismatch(SourceError):
    """A batch holds an event of another machine, and the subscription takes none of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=REFUSED)


@dataclass(frozen=True, slots=True)
class Mark:
    """Take the batch; the documents of *rows* (ascending) are tagged."""

    rows: Sequence[int]
    outcome: ClassVar[str] = "tagged"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """*rows* (ascending) become letters, the rest goes on."""

    rows: Sequence[int]
    outcome: ClassVar[str] = "quarantined"


@dataclass(frozen=True, slots=True)
class Reject:
    """Take nothing of the batch; *rows* are those that do not fit."""

    rows: Sequence[int]
    outcome: ClassVar[str] = "rejected"


Judgement = Mark | Quarantine | Reject


def judge(
    spoofing: Spoofing, caller: Caller, keys: Sequence[Key], texts: Sequence[str] | None = None
) -> Judgement | None:
    """What becomes of a harvest with these *keys* and *texts* (its XML); None: there is nothing to object to."""
    if spoofing.policy == "off" or _relays(spoofing, caller):
        return None
    fits = fitting(caller, spoofing.domains)
    judged = {computer: fits(computer) for computer in {key[1] for key in keys}}  # nearly always one
    double = {row for row, text in enumerate(texts or ()) if _says_more(text) and not _all_fit(text, fits)}
    if all(judged.values()) and not double:
        return None
    rows = [row for row, key in enumerate(keys) if not judged[key[1]] or row in double]
    if spoofing.policy == "tag":
        return Mark(rows)
    if spoofing.policy == "reject" and any(keys[row][1].strip() for row in rows):
        return Reject(rows)
    return Quarantine(rows)


def _says_more(text: str) -> bool:
    """Whether more than one element of *text* is called Computer; quick, because nearly none does."""
    return text.count("Computer") > 2 and len(_COMPUTER.findall(text)) > 1


def _all_fit(text: str, fits: Callable[[str], bool]) -> bool:
    try:
        return all(map(fits, computers(text) - {""}))
    except Unreadable:
        return False  # it was mended to be read, and nobody knows what others make of it


def objection(caller: Caller, computer: str, text: str = "") -> str:
    """Why an event of *computer* with the XML *text* does not fit, for people."""
    said = f"the event says {computer[:LONGEST_SHOWN]!r}" if computer.strip() else "the event names no machine"
    if _says_more(text):
        said += " and has more than one Computer"
    return f"computer: {said}, its caller is {caller.principal}"


def fitting(caller: Caller, domains: Iterable[str]) -> Callable[[str], bool]:
    """A judge of Computers: the caller's names, or their first label alone, in its realm, or in one of *domains*.

    Only two things are cut to ``ACCOUNT_LETTERS``: the caller's own name where it is that of a machine's account,
    and a Computer without a domain, which may be a NetBIOS name. Any other long name is another machine's.
    """
    names = {_folded(name) for name in (caller.name, *caller.names)} - {""} if _machine(caller) else set()
    labels = {name.partition(".")[0] for name in names if not _address(name)}
    short = {label[:ACCOUNT_LETTERS] for label in labels if len(label) >= ACCOUNT_LETTERS}
    accounts = labels & short if _account(caller).endswith("$") else set()
    suffixes = {"", _realm(caller), *domains}

    def fits(computer: str) -> bool:
        computer = _folded(computer)
        label, _, suffix = computer.partition(".")
        if computer in names:
            return True
        known = label in labels or label[:ACCOUNT_LETTERS] in accounts or (not suffix and label in short)
        return known and suffix in suffixes

    return fits


def _relays(spoofing: Spoofing, caller: Caller) -> bool:
    """A user account is a relay only by its whole principal: by its name alone it could be called like one."""
    if not _machine(caller):
        caller = replace(caller, name=caller.key)
    return bool(spoofing.relays) and in_audience(Audience(allow=spoofing.relays), caller)


def _account(caller: Caller) -> str:
    """``PC01$`` of a member of a domain, ``""`` of anybody else."""
    return caller.principal.rpartition("@")[0] if caller.mechanism in DOMAIN_MECHANISMS else ""


def _machine(caller: Caller) -> bool:
    """A user account that is called like a machine is not that machine; those are ``PC01$`` or ``host/pc01.corp``."""
    account = _account(caller).lower()
    return caller.mechanism not in DOMAIN_MECHANISMS or account.endswith("$") or account.startswith("host/")


def _realm(caller: Caller) -> str:
    return caller.principal.rpartition("@")[2].lower() if caller.mechanism in DOMAIN_MECHANISMS else ""


def _folded(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
