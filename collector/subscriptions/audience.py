"""For whom a subscription is meant (contract.md 3, subscriptions.md 4.1).

Globs without regard to case, because principals are not written the same way everywhere.
Deny wins. It knows no message and no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from collector.model import Caller
from collector.subscriptions.subscription import Audience, Subscription


def meant_for(subscription: Subscription, caller: Caller) -> bool:
    """Whether *caller* may have *subscription*, enabled or not."""
    return _trusted_issuer(subscription, caller) and in_audience(subscription.audience, caller)


def in_audience(audience: Audience, caller: Caller) -> bool:
    """An empty *allow* takes everybody that *deny* does not name."""
    if not audience.allow and not audience.deny:
        return True
    names = {name.lower() for name in (caller.key, caller.name, caller.principal, *caller.names)}
    if _any_match(audience.deny, names):
        return False
    return not audience.allow or _any_match(audience.allow, names)


def _any_match(globs: Iterable[str], names: set[str]) -> bool:
    return any(fnmatchcase(name, glob.lower()) for glob in globs for name in names)


def _trusted_issuer(subscription: Subscription, caller: Caller) -> bool:
    """AllowedIssuerCAList of a wecutil file speaks of certificates only; domain members come by SDDL."""
    return not subscription.issuers or caller.mechanism != "certificate" or caller.issuer in subscription.issuers
