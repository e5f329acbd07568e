"""What a collector says to a source: Subscribe, Pull, Unsubscribe, Renew, Get, Enumerate and Identify as text.

The same names as in the answers of ``answers``. What is said when, and to whom, is not known here. Durations are in
seconds, sizes in bytes, ids are fresh ``uuid:`` ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.wsman import names, subscribing
from collector.wsman.duration import duration
from collector.wsman.messages import Offer
from collector.wsman.writer import envelope_start
from collector.wsman.xml import escaped, quoted


@dataclass(frozen=True, slots=True)
class Voice:
    """What all requests of one conversation have in common.

    *to* is the URL (``http://pc01.corp.example:5985/wsman``). *options* are the w:OptionSet of Subscribe, Pull and
    Unsubscribe (``options_of``); a value of None is written xsi:nil.
    """

    to: str
    resource: str = names.EVENT_LOG
    locale: str = "en-US"
    max_envelope_size: int = 512000
    options: Sequence[tuple[str, str | None]] = ()


FOR_EVER = "PT3759670629.777S"
"""What Windows asks for as e:Expires (``subscribe-pull.xml``): it cannot renew, so nothing shall end."""

_RESOURCE = re.compile(r"<(?:[\w.-]+:)?ResourceURI[\s/>]")
_PULLED = ("SubscriptionName", "ContentFormat", "IgnoreChannelError", "ReadExistingEvents")


def options_of(offer: Offer) -> Sequence[tuple[str, str | None]]:
    """The w:OptionSet of *offer*: what was seen to work with Windows.

    In pull mode (no ``notify_to``) that is without CDATA and Compression: no answer of Windows with one of them has
    ever been seen, so nobody knows what it would look like (protocol.md 17).
    """
    chosen = subscribing.options(offer)
    return chosen if offer.notify_to else [option for option in chosen if option[0] in _PULLED]


def write_subscribe_pull(voice: Voice, offer: Offer, *, message_id: str, timeout: float) -> str:
    """Subscribe in Pull mode: from ``offer.bookmark`` on, with ``voice.options`` or else those of *offer*.

    Nothing about batches and no address is in it, or the source refuses ([DSP0226] R10.2.9.5-2).
    """
    delivery = (
        f'<e:Delivery Mode="{names.MODE_PULL}"><w:Heartbeats>{duration(offer.heartbeat)}</w:Heartbeats>'
        f"{_locales(offer)}<w:ContentEncoding>UTF-8</w:ContentEncoding></e:Delivery>"
    )
    return _subscribe(voice, offer, delivery, message_id, timeout)


def write_subscribe_push(voice: Voice, offer: Offer, *, message_id: str, timeout: float) -> str:
    """Subscribe in Events mode: deliveries come to ``offer.notify_to``, where a listener must be ready by now.

    The source tries to connect before it answers (protocol.md 7.5). EndTo is NotifyTo, else it refuses (0x80338096).
    """
    address = (
        f"<a:Address>{escaped(offer.notify_to)}</a:Address>"
        f"<a:ReferenceProperties>{subscribing.references(offer)}</a:ReferenceProperties>"
    )
    delivery = (
        f'<e:EndTo>{address}</e:EndTo><e:Delivery Mode="{names.EVENTS}">'
        f"<w:Heartbeats>{duration(offer.heartbeat)}</w:Heartbeats>"
        f"<e:NotifyTo>{address}{subscribing.policy(offer)}</e:NotifyTo>{subscribing.batching(offer)}"
        f"{_locales(offer)}<w:ContentEncoding>UTF-8</w:ContentEncoding></e:Delivery>"
    )
    return _subscribe(voice, offer, delivery, message_id, timeout)


def write_pull(
    voice: Voice, context: str, references: Sequence[str], *, message_id: str, timeout: float, max_elements: int
) -> str:
    """The next events of the subscription, at most *max_elements*; the source waits up to *timeout* for some.

    *context* is that of the last answer, *references* are those of ``Subscribed``. It also says that the last batch is
    safe: nobody can ask for it again.
    """
    header = _header(voice, names.PULL, message_id, timeout, voice.options, references)
    return _enveloped(header, _pull(context, max_elements))


def write_unsubscribe(voice: Voice, references: Sequence[str], *, message_id: str, timeout: float) -> str:
    """The subscription of *references* is over, in any mode ([DSP0226] 10.4)."""
    header = _header(voice, names.UNSUBSCRIBE, message_id, timeout, voice.options, references)
    return _enveloped(header, "<e:Unsubscribe/>")


def write_renew(voice: Voice, references: Sequence[str], expires: float, *, message_id: str, timeout: float) -> str:
    """Let the subscription of *references* live *expires* seconds more; Windows refuses (``e:UnableToRenew``)."""
    header = _header(voice, names.RENEW, message_id, timeout, (), references)
    return _enveloped(header, f"<e:Renew><e:Expires>{duration(expires)}</e:Expires></e:Renew>")


def write_get(voice: Voice, selectors: Sequence[tuple[str, str]], *, message_id: str, timeout: float) -> str:
    """WS-Transfer Get of ``voice.resource``; *selectors* are names and values of a w:SelectorSet."""
    chosen = "".join(f'<w:Selector Name="{quoted(name)}">{escaped(value)}</w:Selector>' for name, value in selectors)
    selected = (f"<w:SelectorSet>{chosen}</w:SelectorSet>",) if chosen else ()
    return _enveloped(_header(voice, names.GET, message_id, timeout, (), selected), "")


def write_resource_enumerate(voice: Voice, *, message_id: str, timeout: float, max_elements: int = 32000) -> str:
    """All items of ``voice.resource``; the first *max_elements* may come with the answer ([DSP0226] 8.2.3)."""
    body = f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{max_elements}</w:MaxElements></n:Enumerate>"
    return _enveloped(_header(voice, names.ENUMERATE, message_id, timeout), body)


def write_resource_pull(voice: Voice, context: str, *, message_id: str, timeout: float, max_elements: int) -> str:
    """More items of ``voice.resource``, at most *max_elements*; its answer is a ``Pulled``."""
    return _enveloped(_header(voice, names.PULL, message_id, timeout), _pull(context, max_elements))


def write_identify() -> str:
    """Who are you? ([DSP0226] 11); it has no WS-Addressing header."""
    return (
        f'<s:Envelope xmlns:s="{names.SOAP}" xmlns:wsmid="{names.IDENTITY}"><s:Header/>'
        "<s:Body><wsmid:Identify/></s:Body></s:Envelope>"
    )


def _subscribe(voice: Voice, offer: Offer, delivery: str, message_id: str, timeout: float) -> str:
    header = _header(
        replace(voice, locale=offer.locale or voice.locale),
        names.SUBSCRIBE,
        message_id,
        timeout,
        voice.options or options_of(offer),
    )
    query = escaped(offer.query).replace('"', "&quot;")  # as text, which is how a collector of Windows sends it
    return _enveloped(
        header,
        f"<e:Subscribe>{delivery}<e:Expires>{escaped(offer.expires or FOR_EVER)}</e:Expires>"
        f'<w:Filter Dialect="{names.EVENT_QUERY}">{query}</w:Filter>'
        f"{subscribing.bookmarked(offer.bookmark)}<w:SendBookmarks/></e:Subscribe>",
    )


def _locales(offer: Offer) -> str:
    return subscribing.locales(offer.locale) if offer.locale else ""


def _pull(context: str, max_elements: int) -> str:
    return (
        f"<n:Pull><n:EnumerationContext>{escaped(context)}</n:EnumerationContext>"
        f"<n:MaxElements>{max_elements}</n:MaxElements></n:Pull>"
    )


def _header(
    voice: Voice,
    action: str,
    message_id: str,
    timeout: float,
    options: Sequence[tuple[str, str | None]] = (),
    references: Sequence[str] = (),
) -> str:
    """In the order of Windows. A w:ResourceURI among *references* stands for ours: two are an error (R13.1-9)."""
    resource = f'<w:ResourceURI s:mustUnderstand="true">{escaped(voice.resource)}</w:ResourceURI>'
    if any(_RESOURCE.match(reference) for reference in references):
        resource = ""
    return (
        f"<a:To>{escaped(voice.to)}</a:To>{resource}"
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{names.ANONYMOUS}</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{action}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{voice.max_envelope_size}</w:MaxEnvelopeSize>'
        f"<a:MessageID>{escaped(message_id)}</a:MessageID>{subscribing.locales(voice.locale)}"
        f"{subscribing.option_set(options) if options else ''}"
        f"<w:OperationTimeout>{duration(timeout)}</w:OperationTimeout>{''.join(references)}"
    )


def _enveloped(header: str, body: str) -> str:
    return f"{envelope_start('saenwp')}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
