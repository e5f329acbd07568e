"""``wef subscriptions``: which there are, what exactly sources are told, and how many have come.

The version depends on the listener that a source asks at (NotifyTo and Policy are in it). What
is shown is the version at the first listener, as the settings know its host: *hostname*, else
this machine's full name. A source that reaches the collector by another name sees another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import click
from lxml import etree

from collector.auth.certificate import Authorities, thumbprint
from collector.auth.mechanisms import MECHANISMS
from collector.cli.check_calls import listed_in_files
from collector.cli.gpo import base_of
from collector.cli.output import config_option, json_option, print_json, print_rows, printable
from collector.cli.settings import load_settings, reading_state
from collector.cli.subscription_import import import_
from collector.clock import SystemClock
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.errors import OperatorError
from collector.model import Caller
from collector.pull.roster import CALLED
from collector.subscriptions.folder import SubscriptionSet, load_folder
from collector.subscriptions.offers import delivery_url, make_offer
from collector.subscriptions.subscription import Subscription
from collector.wsman.messages import Offer
from collector.wsman.xml import parse

COLUMNS = ("name", "id", "version", "revision", "enabled", "type", "sources")


@click.group()
def command() -> None:
    """List, show and import subscriptions."""


command.add_command(import_)


@command.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """One line for each subscription; sources is how many have asked for it so far, or how many it calls."""
    settings = load_settings(config)
    subscriptions = _loaded(settings)
    print_rows(_rows(settings, subscriptions), COLUMNS, as_json=as_json, empty="There is no subscription.")


@command.command("show")
@click.argument("name")
@config_option
@json_option
def show(name: str, config: str | None, as_json: bool) -> None:
    """Everything about the subscription NAME (or its id), and its version at each listener."""
    settings = load_settings(config)
    subscriptions = _loaded(settings)
    found = [entry for entry in subscriptions.all if entry.name.lower() == name.lower()]
    subscription = found[0] if found else subscriptions.by_id(name)
    if subscription is None:
        known = ", ".join(entry.name for entry in subscriptions.all) or "none"
        raise OperatorError(f"There is no subscription {name!r}. There are: {known}.", exit_code=1)
    row = _details(settings, subscription)
    if as_json:
        print_json(row)
        return
    for key, value in row.items():
        if key not in ("query", "versions"):
            click.echo(f"{key:22} {_shown(value)}")
    for listener, version in row["versions"].items():
        click.echo(f"{'version at ' + listener:22} {version}")
    click.echo(_indented(subscription.query))


def _loaded(settings: CollectorSettings) -> SubscriptionSet:
    return load_folder(settings.subscriptions.path, settings.subscriptions.revision)


def _rows(settings: CollectorSettings, subscriptions: SubscriptionSet) -> Iterator[dict[str, Any]]:
    sources = _sources(settings)
    for subscription in subscriptions.all:
        yield {
            "name": subscription.name,
            "id": subscription.id,
            "version": next(iter(_versions(settings, subscription).values()), None),
            "revision": subscription.revision,
            "enabled": subscription.enabled,
            "type": subscription.type,
            "sources": _number(settings, subscription, sources[subscription.id]),
        }


def _details(settings: CollectorSettings, subscription: Subscription) -> dict[str, Any]:
    delivery = subscription.delivery
    row = next(_rows(settings, SubscriptionSet((subscription,))))
    return {
        **row,
        "description": subscription.description,
        "file": subscription.origin,
        "content_format": subscription.content_format,
        "locale": subscription.locale,
        "read_existing_events": subscription.read_existing_events,
        "ignore_channel_error": subscription.ignore_channel_error,
        "compression": subscription.compression,
        "expires": subscription.expires,
        "max_latency_seconds": delivery.max_latency,
        "heartbeat_seconds": delivery.heartbeat,
        "max_items": delivery.max_items,
        "max_envelope_size": delivery.max_envelope_size,
        "retry_seconds": delivery.connection_retry,
        "retries": delivery.retries,
        "allow": list(subscription.audience.allow),
        "deny": list(subscription.audience.deny),
        "spoofing": subscription.spoofing.policy,
        "relays": list(subscription.spoofing.relays),
        "domains": list(subscription.spoofing.domains),
        "issuers": list(subscription.issuers),
        "certificates_allow": list(subscription.certificates.allow),
        "certificates_deny": list(subscription.certificates.deny),
        "sddl": subscription.sddl,
        **_called(settings, subscription),
        "versions": _versions(settings, subscription),
        "query": subscription.query,
    }


def _number(settings: CollectorSettings, subscription: Subscription, seen: set[str]) -> int:
    """How many have asked; of one that calls them: how many it calls, as far as no directory knows better."""
    if subscription.type not in CALLED:
        return len(seen)
    resolved, directories = listed_in_files(settings, subscription)
    return len(seen) if directories or not resolved.whole else len(resolved.addresses)


def _called(settings: CollectorSettings, subscription: Subscription) -> dict[str, Any]:
    """Whom it calls, and as whom; nothing of those that sources come to by themselves."""
    if subscription.type not in CALLED:
        return {}
    resolved, directories = listed_in_files(settings, subscription)
    return {
        "credentials": subscription.credentials,
        "called": [address.written for address in resolved.addresses],
        "directories": directories,
        "source_problems": list(resolved.problems),
    }


def _sources(settings: CollectorSettings) -> dict[str, set[str]]:
    """Subscription id -> keys of the sources that were seen on it; empty without a state."""
    found: dict[str, set[str]] = defaultdict(set)
    with reading_state(settings) as store:
        for presence in store.presences():
            found[presence.subscription].add(presence.key)
    return found


def _versions(settings: CollectorSettings, subscription: Subscription) -> dict[str, str]:
    """The version at each listener, and where clients of several CAs may come, for each CA."""
    versions: dict[str, str] = {}
    for name, listener in settings.listeners.items():
        try:
            offers = [_offer(subscription, listener, word, issuer) for word, issuer in _ways(listener)]
        except OperatorError as error:  # a CA that cannot be read: the rest is still worth showing
            click.echo(f"listener {name}: {error}", err=True)
            continue
        for number, offer in enumerate(offers):
            versions[name if number == 0 else f"{name} ({offer.issuer or offer.profile})"] = offer.version
    return versions


def _ways(listener: ListenerSettings) -> Iterator[tuple[str, str | None]]:
    """(mechanism, issuing CA) of every kind of caller that the listener takes."""
    for word in listener.authentication:
        if word != "certificate":
            yield word, None
            continue
        for authority in Authorities.load(listener.client_ca).certificates:
            yield word, thumbprint(authority)


def _offer(subscription: Subscription, listener: ListenerSettings, word: str, issuer: str | None) -> Offer:
    profile = MECHANISMS[word](listener, SystemClock()).profile(listener.transport == "https")
    caller = Caller("", "", "", word, "", issuer=issuer)
    return make_offer(subscription, caller, delivery_url(base_of(listener), subscription), profile, None)


def _indented(query: str) -> str:
    root = parse(query)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def _shown(value: Any) -> str:
    return printable(", ".join(value) if isinstance(value, list) else value)
