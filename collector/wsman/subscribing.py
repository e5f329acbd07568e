"""The parts of a Subscribe that an offer and a call have in common, spelled once.

A source gets the same words whether it asked for a subscription or is given one. Which of the two it is, and the
envelope around, is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.wsman import names
from collector.wsman.duration import duration
from collector.wsman.messages import Offer
from collector.wsman.xml import escaped, quoted


def options(offer: Offer) -> list[tuple[str, str | None]]:
    """The options of *offer* ([MS-WSMV] 3.1.4.1.30.1), None for xsi:nil; one left out is off."""
    chosen: list[tuple[str, str | None]] = [("SubscriptionName", offer.name)]
    if offer.compression:
        chosen.append(("Compression", "SLDC"))
    chosen += [("CDATA", None), ("ContentFormat", offer.content_format)]
    if offer.ignore_channel_error:
        chosen.append(("IgnoreChannelError", None))
    # With a bookmark the source resumes; to read everything again would be another wish (R10.2.6-7).
    if offer.read_existing_events and offer.bookmark is None:
        chosen.append(("ReadExistingEvents", "true"))
    return chosen


def option_set(chosen: Sequence[tuple[str, str | None]]) -> str:
    """The w:OptionSet header of options, None for xsi:nil."""
    spelled = "".join(
        f'<w:Option Name="{quoted(name)}" xsi:nil="true"/>'
        if value is None
        else f'<w:Option Name="{quoted(name)}">{escaped(value)}</w:Option>'
        for name, value in chosen
    )
    return f'<w:OptionSet xmlns:xsi="{names.XSI}">{spelled}</w:OptionSet>'


def locales(locale: str) -> str:
    """w:Locale and p:DataLocale as Windows writes them, blank and all; never mustUnderstand ([DSP0226] 6.3)."""
    lang = quoted(locale)
    return (
        f'<w:Locale xml:lang="{lang}" s:mustUnderstand="false" />'
        f'<p:DataLocale xml:lang="{lang}" s:mustUnderstand="false" />'
    )


def references(offer: Offer) -> str:
    """What the source repeats as headers of every delivery (R10.2.1-5); ours are in no namespace."""
    version = f"<Version>{escaped(offer.version)}</Version>" if offer.version else ""
    revision = f"<Revision>{escaped(offer.revision)}</Revision>" if offer.revision else ""
    return f"<e:Identifier>{escaped(offer.identifier)}</e:Identifier>{version}{revision}"


def connection_retry(offer: Offer) -> str:
    """Interval and attempts: both zero or both not, else the source faults ([MS-WSMV] 3.1.4.1.30.2)."""
    retry = offer.retry_interval > 0 and offer.retry_total > 0
    interval, total = (offer.retry_interval, offer.retry_total) if retry else (0.0, 0)
    spelled = f"PT{interval:.1f}S" if round(interval, 1) == interval else duration(interval)
    return f'<w:ConnectionRetry Total="{total}">{spelled}</w:ConnectionRetry>'


def batching(offer: Offer) -> str:
    """How much may go into one delivery, and how long it may wait."""
    most = f"<w:MaxElements>{offer.max_elements}</w:MaxElements>" if offer.max_elements else ""
    return (
        f"{connection_retry(offer)}{most}<w:MaxTime>{duration(offer.max_time)}</w:MaxTime>"
        f'<w:MaxEnvelopeSize Policy="Notify">{offer.max_envelope_size}</w:MaxEnvelopeSize>'
    )


def policy(offer: Offer) -> str:
    """How the source shall authenticate its deliveries ([MS-WSMV] 3.1.4.1.22)."""
    if offer.profile is None:
        return ""
    thumbprint = (
        f'<auth:ClientCertificate><auth:Thumbprint Role="issuer">{escaped(offer.issuer)}</auth:Thumbprint>'
        "</auth:ClientCertificate>"
        if offer.issuer
        else ""
    )
    return (
        f'<c:Policy xmlns:c="{names.POLICY}" xmlns:auth="{names.AUTHENTICATION}"><c:ExactlyOne><c:All>'
        f'<auth:Authentication Profile="{names.SECURITY_PROFILE}{quoted(offer.profile)}">{thumbprint}'
        "</auth:Authentication></c:All></c:ExactlyOne></c:Policy>"
    )


def bookmarked(bookmark: str | None) -> str:
    """The bookmark as it came: one element, or a text (R10.2.6-2)."""
    if bookmark is None:
        return ""
    return f"<w:Bookmark>{bookmark if bookmark.startswith('<') else escaped(bookmark)}</w:Bookmark>"
