"""For whom a subscription is meant (contract.md 3, subscriptions.md 4.1).

``[audience]`` speaks of everybody: globs without regard to case, because principals are not written the same
way everywhere; deny wins. The security descriptor speaks of domain members, issuers and subjects of
callers with a certificate, as AllowedSourceDomainComputers and AllowedSourceNonDomainComputers do at
Windows, and neither shuts out who comes by the other. Who proves nothing is judged by ``[audience]`` alone.
It knows no message and no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from collector.model import Caller
from collector.subscriptions.sddl import parse_sddl
from collector.subscriptions.subscription import Audience, Subscription


def meant_for(subscription: Subscription, caller: Caller) -> bool:
    """Whether *caller* may have *subscription*, enabled or not."""
    return not why_not(subscription, caller)


def why_not(subscription: Subscription, caller: Caller) -> str:
    """Why *caller* may not have *subscription*, as a clause for an administrator; ``""`` when it may."""
    match caller.mechanism:
        case "certificate":
            reason = _certificate_refused(subscription, caller)
        case "none":  # nothing is proven, so no proof can be judged
            reason = ""
        case _:
            reason = _member_refused(subscription, caller)
    if not reason and not in_audience(subscription.audience, caller):
        reason = "[audience] does not name it, or denies it"
    return reason


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


def _certificate_refused(subscription: Subscription, caller: Caller) -> str:
    """AllowedSourceNonDomainComputers: the issuers, then the subjects."""
    if subscription.issuers and caller.issuer not in subscription.issuers:
        return f"its certificate's CA {caller.issuer} is none of issuers"
    if not in_audience(subscription.certificates, caller):
        return "[certificates] does not name it, or denies it"
    return ""


def _member_refused(subscription: Subscription, caller: Caller) -> str:
    """AllowedSourceDomainComputers."""
    if subscription.sddl is None:
        return ""
    descriptor = parse_sddl(subscription.sddl)
    if descriptor.entries is None:
        return ""
    if caller.sids is None:
        return "its ticket says no groups (it has no PAC), and the subscription's sddl asks for them"
    if descriptor.allows(caller.sids):
        return ""
    entry = descriptor.decisive(caller.sids)
    return "no entry of the subscription's sddl is about it" if entry is None else f"its sddl denies it: {entry.text}"
