"""What subscriptions want of collector.toml, against what stands there: credentials, listeners. It opens no file.

A name that is not there can only be a mistake, so it stops a start like a wrong key does (78).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.pull.department import listener_for
from collector.pull.directories import trouble_of
from collector.pull.roster import CALLED
from collector.subscriptions.sources import CsvSources, DirectorySources
from collector.subscriptions.subscription import Subscription


def require_references(settings: CollectorSettings, subscriptions: Iterable[Subscription]) -> None:
    """Raises ``OperatorError`` with a sentence for each name that is not there."""
    if problems := list(reference_problems(settings, subscriptions)):
        raise OperatorError(*problems)


def reference_problems(settings: CollectorSettings, subscriptions: Iterable[Subscription]) -> Iterator[str]:
    """A sentence for each name that an enabled one of *subscriptions* uses and that is not there."""
    called = [one for one in subscriptions if one.enabled and one.type in CALLED]
    for subscription in called:
        yield from _credentials(settings, subscription)
        for listed in subscription.sources:
            if isinstance(listed, DirectorySources) and (trouble := trouble_of(listed, settings.credentials)):
                yield f"{subscription.origin}: at sources.ldap: {trouble}."
    if any(subscription.type == "push" for subscription in called):
        try:
            listener_for(settings.listeners, settings.pull.notify, "http")
        except OperatorError as error:
            yield from error.problems


def nothing_can_come(settings: CollectorSettings, subscriptions: Iterable[Subscription]) -> str | None:
    """A sentence where sources can neither come nor are called."""
    if settings.listeners or any(one.enabled and one.type == "pull" for one in subscriptions):
        return None
    return "at listeners: there is none, so no source can come; add [listeners.NAME], or a subscription of type pull."


def _credentials(settings: CollectorSettings, subscription: Subscription) -> Iterator[str]:
    """Without any [credentials] nothing is proven, which is for loopback; with one of them it need not be named."""
    name, known = subscription.credentials, settings.credentials
    names = ", ".join(known) or "none"
    if name is not None and name not in known:
        yield f"{subscription.origin}: at credentials: there are no [credentials.{name}]; there are: {names}."
    if name is None and len(known) > 1 and not any(isinstance(one, CsvSources) for one in subscription.sources):
        yield f"{subscription.origin}: at credentials: it is missing; say which of {names} its sources are called with."
