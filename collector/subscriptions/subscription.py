"""A subscription as a value, however it was written down.

It knows no file and no message: ``toml_file`` and ``wecutil_file`` make it, ``offers``
shows it to a caller, ``audience`` decides for whom it is meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.subscriptions.sources import SourceList


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How a source should deliver. Seconds and bytes; *max_items* 0 means no limit."""

    max_latency: float = 30.0
    heartbeat: float = 900.0
    max_items: int = 0
    max_envelope_size: int = 512000
    connection_retry: float = 60.0
    retries: int = 5


@dataclass(frozen=True, slots=True)
class Audience:
    """Globs without regard to case on a caller's key, name and SANs; both empty: everybody. Deny wins."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoofing:
    """What becomes of an event whose Computer does not fit its caller: nothing in the protocol binds the two.

    *policy* is ``off``, ``tag``, ``quarantine`` or ``reject``. *relays* are globs as in an audience: callers
    that may send other machines' events. *domains* are DNS suffixes in lower case that fit besides the caller's own.
    """

    policy: str = "off"
    relays: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is collected, how, and from whom.

    *id* is a UUID in lower case. *query* is the QueryList as XML text, comments removed, in
    no namespace. *origin* is the file it came from, *revision* the revision of contract.md
    section 2. Callers with a certificate must have one of *issuers* (SHA-1 thumbprints in lower-case hex)
    and be in *certificates*; *sddl*, which has been parsed once when it stands here, is for domain
    members; *audience* is for everybody. *sources* and *credentials* (a name of ``[credentials]``) are whom
    pull and push call, and as whom; others have none.
    """

    name: str
    id: str
    query: str
    enabled: bool = True
    description: str = ""
    type: str = "source-initiated"  # "pull" | "push"
    content_format: str = "raw"  # "rendered_text"
    locale: str | None = None
    read_existing_events: bool = False
    ignore_channel_error: bool = True
    compression: str = "none"  # "sldc"
    expires: str | None = None
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    audience: Audience = field(default_factory=Audience)
    spoofing: Spoofing = field(default_factory=Spoofing)
    sddl: str | None = None
    issuers: tuple[str, ...] = ()
    certificates: Audience = field(default_factory=Audience)
    sources: tuple[SourceList, ...] = ()
    credentials: str | None = None
    revision: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What another collector's file says. *query* is written as it was there, with comments and line breaks.

    *notes* are sentences about what is not carried over, or differs.
    """

    subscription: Subscription
    query: str
    notes: tuple[str, ...] = ()
