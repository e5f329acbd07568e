"""What ``wef check`` finds about subscriptions that call their sources: names, lists, credentials, where to push to.

It reads lists that are files. Directories are left to the running collector: a check connects to nobody.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from collector.auth.credentials import Target
from collector.cli.credentials import credential_problems
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.pull.department import listener_for
from collector.pull.references import reference_problems
from collector.pull.roster import CALLED, Assignment, roster_of
from collector.subscriptions.sources import DirectorySources, Resolved, resolve
from collector.subscriptions.subscription import Subscription

SHOWN = 3
"""Hosts in a sentence; of the rest there is the number."""


@dataclass(slots=True)
class Calls:
    """What was found."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look_at_calls(settings: CollectorSettings, subscriptions: Sequence[Subscription], now: datetime) -> Calls:
    """All about calling: the names, every [credentials.NAME], and the sources of each subscription."""
    found = Calls(problems=list(reference_problems(settings, subscriptions)))
    for name, written in settings.credentials.items():
        problems, warnings = credential_problems(name, written, now)
        found.problems.extend(problems)
        found.warnings.extend(warnings)
    called = [one for one in subscriptions if one.enabled and one.type in CALLED]
    for subscription in called:
        _look(settings, subscription, found)
    if any(subscription.type == "push" for subscription in called):
        found.warnings.extend(_destination_warnings(settings))
    return found


def listed_in_files(settings: CollectorSettings, subscription: Subscription) -> tuple[Resolved, int]:
    """The sources of *subscription* that are known without a network, and how many directories know more."""
    lists = [one for one in subscription.sources if not isinstance(one, DirectorySources)]
    return resolve(lists, Path(settings.subscriptions.path), _nobody), len(subscription.sources) - len(lists)


def _nobody(search: DirectorySources) -> Sequence[str]:
    raise AssertionError(search)  # directories are left out


def _look(settings: CollectorSettings, subscription: Subscription, found: Calls) -> None:
    resolved, directories = listed_in_files(settings, subscription)
    where = subscription.origin
    severity = found.warnings if resolved.whole else found.problems
    severity.extend(f"{where}: {sentence}." for sentence in resolved.problems)
    found.notes.extend(f"{where}: {sentence}." for sentence in resolved.notes)
    if directories:
        found.notes.append(f"{where}: directories, which it has {directories} of, are asked when the collector runs.")
    elif resolved.whole and not resolved.addresses:
        found.warnings.append(f"{where}: it has no source to call.")
    calls = list(roster_of(settings, _nobody).assignments(subscription, resolved.addresses))
    found.problems.extend(f"{where}: {sentence}" for sentence in _impossible(settings, calls))
    found.warnings.extend(f"{where}: {sentence}" for sentence in _doubtful(settings, calls))


def _impossible(settings: CollectorSettings, calls: Sequence[Assignment]) -> Iterator[str]:
    """What would be refused before anything is sent."""
    known = settings.credentials
    named = {call.credentials for call in calls if call.source.credentials} - set(known)
    for name in sorted(name for name in named if name is not None):
        hosts = _hosts(call for call in calls if call.credentials == name)
        yield f"there are no [credentials.{name}], which {hosts} shall be called with."
    nameless = [call for call in calls if call.credentials is None and known]
    if nameless:
        there = ", ".join(known)
        yield (
            f"{_hosts(nameless)}: called with no credentials, because neither the subscription nor the list names any;"
            f" there are: {there}."
        )
    clear = [call for call in calls if _mechanism(settings, call) == "certificate" and call.url.startswith("http:")]
    if clear:
        yield f"{_hosts(clear)}: called by http, where no certificate can be shown; write https, or other credentials."
    strangers = [call for call in calls if _mechanism(settings, call) == "none" and not _loopback(call)]
    if strangers:
        yield (
            f"{_hosts(strangers)}: called without any proof, which is for loopback only; give"
            " [credentials.NAME] in collector.toml."
        )


def _doubtful(settings: CollectorSettings, calls: Sequence[Assignment]) -> Iterator[str]:
    tickets = [call for call in calls if _mechanism(settings, call) in ("kerberos", "negotiate")]
    numbers = [call for call in tickets if _is_address(call.source.host)]
    if numbers:
        yield f"{_hosts(numbers)}: Kerberos knows names and no addresses; write the full DNS name."


def _mechanism(settings: CollectorSettings, call: Assignment) -> str:
    if call.credentials is None and not settings.credentials:
        return "none"
    written = settings.credentials.get(call.credentials or "")
    return written.mechanism if written is not None else ""


def _loopback(call: Assignment) -> bool:
    parts = urlsplit(call.url)
    return Target(parts.hostname or "", parts.port or 0, parts.scheme == "https").loopback


def _hosts(calls: Iterable[Assignment]) -> str:
    hosts = [call.source.host for call in calls]
    more = len(hosts) - SHOWN
    return ", ".join(hosts[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _destination_warnings(settings: CollectorSettings) -> Iterator[str]:
    """Sources of type push are told where to deliver to; they have to reach it by that name."""
    try:
        name = listener_for(settings.listeners, settings.pull.notify, "http")
    except OperatorError:
        return  # a problem that was named already
    listener = settings.listeners[name]
    if listener.loopback:
        yield f"at listeners.{name}.address: sources of type push shall deliver there, and only this machine can."
    elif listener.hostname is None:
        yield (
            f"at listeners.{name}.hostname: it is missing, and sources of type push are told to deliver to"
            f' "{socket.getfqdn()}"; say the name that they know this machine by.'
        )
