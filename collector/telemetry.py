"""One function per thing that happens: a structlog line, a Prometheus metric, or both.

Log levels say what follows: WARNING is unexpected but nothing is lost; ERROR means data
was lost or a person must act. Nothing per event above DEBUG. No label here takes values
that an unauthenticated peer can choose.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collector.clock import Clock, SystemClock

_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment] # Python's word for "not here", for the next line only
import structlog  # noqa: E402 - it would load rich, 3 MB, for tracebacks with local variables, which we never log

if _rich is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _rich

REGISTRY = CollectorRegistry(auto_describe=True)
_log: Any = structlog.get_logger("wef")
_debugging = True
"""Whether lines of level DEBUG are written at all; until ``configure`` says so nobody knows."""


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY)


class Ration:
    """A structlog processor: of lines with the same words, so many in so many seconds, and a count of the rest.

    Anybody who can connect can cause a refusal, and nobody shall fill a disk with them. The words
    are our own and few, so what is remembered is bounded; metrics count everything.
    """

    def __init__(self, most: int = 20, seconds: float = 10.0, clock: Clock | None = None) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._windows: dict[str, tuple[float, int]] = {}  # words -> begin, lines since then

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        words, now = str(line["event"]), self._clock.monotonic()
        begin, count = self._windows.get(words, (now, 0))
        if now - begin >= self._seconds:
            if count > self._most:
                line["suppressed_before"] = count - self._most
            begin, count = now, 0
        self._windows[words] = (begin, count + 1)
        if count >= self._most:
            raise structlog.DropEvent
        return line


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Send log lines to *stream* (stderr). *style* is json, console, or auto: json when that is no terminal."""
    global _debugging
    _debugging = level.lower() == "debug"
    stream = stream or sys.stderr
    terminal = stream.isatty()
    as_json = style == "json" or (style == "auto" and not terminal)
    renderer: Any = structlog.processors.JSONRenderer()
    if not as_json:  # the default formatter shows local variables, and tokens and bodies are among them
        renderer = structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            Ration(),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


# What arrived and what we answered ---------------------------------------------------------------------------------

_messages = _counter("wef_messages", "Messages of authenticated sources, by kind", "kind")
_refusals = _counter("wef_refusals", "Requests refused, by reason", "reason")
_events = _counter("wef_events_received", "Events received in acknowledged and unacknowledged batches")
_acknowledged = _counter("wef_events_acknowledged", "Events in batches that were acknowledged")
_batch_seconds = _histogram("wef_batch_seconds", "From the whole batch read to the Ack, in seconds")
_slow_envelopes = _counter("wef_envelopes_parsed_whole", "Events messages that could not be sliced")
_flaws = _counter("wef_events_flawed", "Events that needed recovery, by kind of flaw", "kind")
_fallbacks = _counter("wef_kernel_fallbacks", "Events that the compiled kernel left to the pure one")
_dropped = _counter("wef_source_dropped_events", "Events that sources say they dropped (DroppedEvents)")
_mismatches = _counter(
    "wef_computer_mismatches",
    "Events whose Computer does not fit their caller, by what became of them",
    "subscription",
    "outcome",
)
_untaken = _counter("wef_events_untaken", "Events that no sink takes; acknowledged all the same")
_bookmarks_kept = _counter(
    "wef_bookmarks_kept", "Bookmarks offered by sources that did not replace a stored one", "reason"
)
_refused_connections = _counter(
    "wef_connections_refused",
    "Connections closed at once, by the limit or the want that it was for",
    "listener",
    "limit",
)
_failed_handshakes = _counter("wef_handshakes_failed", "TLS handshakes that made no connection", "listener")
_connections = _gauge("wef_connections", "Open connections, by listener", "listener")

REFUSALS = frozenset({
    "backpressure", "body", "computer", "deadline", "entitlement", "envelope", "method", "proof", "seal", "shutdown",
    "size", "unsupported",
})  # fmt: skip
"""Every value of the label ``reason`` of ``wef_refusals``."""


_messages_of: dict[str, Counter] = {}


def message_received(kind: str) -> None:
    """*kind* is the name of a class of ours."""
    counter = _messages_of.get(kind)
    if counter is None:  # to look a label up costs more than to count
        counter = _messages_of[kind] = _messages.labels(kind)
    counter.inc()


def request_refused(reason: str, address: str, text: str, *, source: str = "") -> None:
    """A request got no service. *reason* is one of REFUSALS; *text* never holds a body."""
    _refusals.labels(reason if reason in REFUSALS else "unsupported").inc()
    _log.warning("refused", reason=reason, address=address, source=source, text=text[:500])


def pac_unreadable(principal: str, why: str) -> None:
    """A caller is known and its groups are not: audiences that name groups will not take it."""
    _log.warning("groups unreadable", principal=principal, text=why)


def batch_received(events: int, sliced: bool) -> None:
    _events.inc(events)
    if not sliced and events:
        _slow_envelopes.inc()


def batch_acknowledged(source: str, subscription: str, events: int, seconds: float) -> None:
    _acknowledged.inc(events)
    _batch_seconds.observe(seconds)
    if _debugging:
        _log.debug(
            "batch acknowledged", source=source, subscription=subscription, events=events, seconds=round(seconds, 4)
        )


def events_flawed(kind: str, count: int) -> None:
    """*kind* is one of normalize's flaw words."""
    _flaws.labels(kind).inc(count)


def kernel_fallbacks(count: int) -> None:
    """What was not spelled as Windows spells it: read in full, but many times slower."""
    if count:
        _fallbacks.inc(count)


def computers_mismatched(source: str, subscription: str, outcome: str, events: int, reason: str) -> None:
    """*outcome* is tagged, quarantined or rejected; *reason* speaks of the first of these *events*."""
    _mismatches.labels(subscription, outcome).inc(events)
    if outcome != "rejected":  # a refusal, and logged as one
        _log.warning(
            "events do not fit their caller",
            source=source, subscription=subscription, outcome=outcome, events=events, reason=reason,
        )  # fmt: skip


def events_untaken(count: int) -> None:
    _untaken.inc(count)


def events_dropped_at_source(source: str, subscription: str, more: int, total: int) -> None:
    _dropped.inc(more)
    _log.error("the source dropped events", source=source, subscription=subscription, more=more, total=total)


def bookmark_kept(source: str, subscription: str, reason: str) -> None:
    """A stored bookmark was not replaced. *reason* is a word of delivery.bookmarks."""
    _bookmarks_kept.labels(reason).inc()
    _log.warning("bookmark kept", source=source, subscription=subscription, reason=reason)


def bookmark_went_back(source: str, subscription: str, channels: list[str]) -> None:
    _log.warning("the source's bookmark went back", source=source, subscription=subscription, channels=channels[:5])


def subscription_ended(source: str, subscription: str, status: str, code: int | None, text: str) -> None:
    """A machine that is switched off says so and is no news; anything else is a diagnosis worth reading."""
    say = _log.info if status == "SourceShuttingDown" and code is None else _log.warning
    say(
        "the source ended a subscription", source=source, subscription=subscription, status=status, code=code, text=text
    )


def incident(identifier: str, address: str, error: BaseException) -> None:
    """Our own fault: the reply carries *identifier*, and so does the log."""
    _log.error("incident", incident=identifier, address=address, exc_info=error)


def nothing_offered(source: str, address: str, reasons: Sequence[str]) -> None:
    """A source asked what is wanted from it, and it is nothing. *reasons*: one for each subscription."""
    _log.info("nothing offered", source=source, address=address, reasons=list(reasons[:5]), subscriptions=len(reasons))


def offers_cut(source: str, sent: int, meant: int) -> None:
    """The source's own limits leave no room for all its subscriptions; it will drop the rest."""
    _log.error("not all subscriptions fit into the answer", source=source, sent=sent, meant=meant)


def presence_full(most: int) -> None:
    _log.error("more sources than can be listed; they are served, but not shown", most=most)


def handshake_failed(listener: str, address: str, reason: str) -> None:
    """Windows drops its first handshake now and then and comes again at once (protocol.md 3.6): no warning."""
    _failed_handshakes.labels(listener).inc()
    _log.info("handshake failed", listener=listener, address=address, reason=reason[:200])


def chore_failed(name: str, error: BaseException) -> None:
    """Housekeeping met something nobody foresaw; it begins again."""
    _log.error("chore failed", chore=name, exc_info=error)


def loop_trouble(text: str, error: BaseException | None) -> None:
    """What asyncio caught and nobody was there to hear: at the descriptor limit it waits and tries again."""
    _log.warning("event loop", text=text[:200], error=repr(error)[:300])


def connection_refused(listener: str, address: str, limit: str) -> None:
    _refused_connections.labels(listener, limit).inc()
    _log.debug("connection refused", listener=listener, address=address, limit=limit)


def proxy_header_refused(listener: str, address: str, reason: str) -> None:
    """A proxy that we believe did not say for whom its connection is: its settings and ours differ."""
    _refused_connections.labels(listener, "proxy_header").inc()
    _log.warning("PROXY protocol header refused", listener=listener, address=address, reason=reason[:200])


def connection_opened(listener: str) -> None:
    _connections.labels(listener).inc()


def connection_closed(listener: str) -> None:
    _connections.labels(listener).dec()


# Pull --------------------------------------------------------------------------------------------------------------

_pulls = _gauge("wef_pull_conversations", "Conversations with sources that we subscribe at, by state", "state")
_pull_answers = _counter("wef_pull_answers", "Answers of sources that we asked, by kind", "kind")
_pull_troubles = _counter("wef_pull_troubles", "Attempts to pull that came to nothing, by reason", "reason")
_pull_lag = Histogram(
    "wef_pull_lag_seconds",
    "From the own time of an answer's newest event until it was safe, in seconds",
    registry=REGISTRY,
    buckets=(0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 900, 3600, 86400),
)


def pulls_counted(states: Mapping[str, int]) -> None:
    for state, count in states.items():
        _pulls.labels(state).set(count)


def pull_answered(kind: str) -> None:
    """*kind* is events, empty, timed_out, fault or other."""
    _pull_answers.labels(kind).inc()


def pull_lagged(seconds: float) -> None:
    _pull_lag.observe(seconds)


def pull_troubled(source: str, subscription: str, reason: str, sentence: str, seconds: float, *, news: bool) -> None:
    """*reason* is one of pull.verdicts.REASONS. Nothing is lost: it is asked again in *seconds*."""
    _pull_troubles.labels(reason).inc()
    say = _log.warning if news else _log.debug
    say(
        "a source cannot be pulled",
        source=source, subscription=subscription, reason=reason, text=sentence[:500], again_in=round(seconds, 1),
    )  # fmt: skip


def pull_mended(source: str, subscription: str, reason: str) -> None:
    _log.info("a source is pulled again", source=source, subscription=subscription, reason=reason)


def pull_bookmark_refused(source: str, subscription: str, reason: str) -> None:
    """Its log was cleared or rolled on: what is gone from it is lost, what is in it comes again."""
    _log.error(
        "the source takes our bookmark no more; all that its log holds is read again",
        source=source, subscription=subscription, reason=reason[:200],
    )  # fmt: skip


def sources_unresolved(subscription: str, problems: Sequence[str]) -> None:
    """A list of sources cannot be read; who was in it when it could be stays."""
    _log.error("sources cannot be listed", subscription=subscription, problems=list(problems[:5]))


# Lanes -------------------------------------------------------------------------------------------------------------

_delivered = _counter("wef_sink_delivered", "Records that a sink confirmed", "sink")
_rejected = _counter("wef_sink_rejected", "Records that a sink will never take (dead letters)", "sink")
_dropped_by_lane = _counter("wef_sink_dropped", "Records dropped by a sink that is not required", "sink")
_replayed = _counter("wef_letters_replayed", "Letters offered again, by what became of them", "sink", "outcome")
_queued = _gauge("wef_sink_queued", "Records a lane holds in memory", "sink")
_spooled = _gauge("wef_sink_spool_bytes", "Bytes in a lane's spool", "sink")
_lane_up = _gauge("wef_sink_up", "1 while a lane delivers, 0 while it spools or is full", "sink")
_lane_blocked = _gauge("wef_sink_blocked", "1 while only a person can help a sink: a right, a key, a topic", "sink")
_producers_replaced = _counter("wef_kafka_producers_replaced", "Kafka producers that gave no answer any more", "sink")
_present = _counter("wef_sink_present", "Records that a sink had already: repetitions, collapsed by their id", "sink")
_failures = _counter("wef_sink_failure_stored", "Records that Elasticsearch put into a failure store", "sink")
_bulk_seconds = _histogram("wef_sink_bulk_seconds", "From a bulk's first request to its last record's fate", "sink")


_delivered_to: dict[str, Counter] = {}


def sink_delivered(sink: str, records: int) -> None:
    counter = _delivered_to.get(sink)
    if counter is None:
        counter = _delivered_to[sink] = _delivered.labels(sink)
    counter.inc(records)


def sink_rejected(sink: str, records: int, reason: str) -> None:
    _rejected.labels(sink).inc(records)
    _log.error("records rejected, kept as letters", sink=sink, records=records, reason=reason[:300])


def letters_replayed(sink: str, delivered: int, returned: int, trouble: str) -> None:
    """Letters that somebody asked for were offered again. *trouble*: why the sink could not be reached, or ``""``."""
    _replayed.labels(sink, "delivered").inc(delivered)
    _replayed.labels(sink, "returned").inc(returned)
    say = _log.warning if trouble or returned else _log.info
    say("letters offered again", sink=sink, delivered=delivered, returned=returned, trouble=trouble[:300])


def sink_dropped(sink: str, records: int) -> None:
    _dropped_by_lane.labels(sink).inc(records)
    _log.warning("records dropped by a sink that is not required", sink=sink, records=records)


def lane_measured(sink: str, queued: int, spool_bytes: int, up: bool, blocked: bool) -> None:
    _queued.labels(sink).set(queued)
    _spooled.labels(sink).set(spool_bytes)
    _lane_up.labels(sink).set(1 if up else 0)
    _lane_blocked.labels(sink).set(1 if blocked else 0)


def sink_unavailable(sink: str, text: str) -> None:
    _log.warning("sink unavailable, spooling", sink=sink, text=text[:300])


def sink_blocked(sink: str, text: str) -> None:
    """Nothing is lost yet, but the sink stays away until somebody acts."""
    _log.error("sink blocked, a person must act", sink=sink, text=text[:300])


def sink_recovered(sink: str, drained: int) -> None:
    _log.info("sink has everything again", sink=sink, drained=drained)


def kafka_producer_replaced(sink: str, engine: str) -> None:
    """A producer kept silent beyond its own time-out. What it held is offered again by a new one."""
    _producers_replaced.labels(sink).inc()
    _log.warning("kafka producer replaced: it gave no answer", sink=sink, engine=engine)


def bulk_settled(sink: str, present: int, failures: int, seconds: float) -> None:
    """Elasticsearch answered, or did not. A failure store keeps what does not fit the mapping, out of sight."""
    _bulk_seconds.labels(sink).observe(seconds)
    if present:
        _present.labels(sink).inc(present)
    if failures:
        _failures.labels(sink).inc(failures)
        _log.warning("records went to a failure store", sink=sink, records=failures)


def bulks_made_smaller(sink: str, size: int) -> None:
    """Something in between lets less pass than ``bulk_size`` (413)."""
    _log.warning("bulks made smaller, the far end takes no larger ones", sink=sink, bytes=size)


def plain_indices_possible(sink: str) -> None:
    """The server is older than the parameter that keeps it from making an index where a stream is missing."""
    _log.warning("the server does not know require_data_stream; run wef setup elasticsearch", sink=sink)


def lane_failed(sink: str, error: BaseException) -> None:
    """The lane met something nobody foresaw; it keeps every record and goes on."""
    _log.error("lane failed", sink=sink, exc_info=error)


def spool_salvaged(path: str, shares: int) -> None:
    """What could be read of a spool that was set aside is in its successor now."""
    _log.warning("spool salvaged", path=path, shares=shares)


def set_aside(what: str, path: str, reason: str) -> None:
    """A damaged file was moved out of the way; what it held is no longer used."""
    _log.error("damaged file set aside", what=what, path=path, reason=reason[:300])


def torn_record_cut(path: str, size: int) -> None:
    """The end of a file was a record cut off in mid-write; it was never acknowledged and comes again."""
    _log.warning("torn record cut off", path=path, bytes=size)


def events_retired(files: list[str]) -> None:
    """Retention dropped files of the event store."""
    _log.info("old events dropped", files=len(files), names=files[:10])


def retention_failed(text: str) -> None:
    """Old events could not be dropped; new ones are stored all the same, until the disk is full."""
    _log.error("retention failed", text=text[:300])


# Life --------------------------------------------------------------------------------------------------------------

_sources = _gauge("wef_sources", "Sources and subscriptions seen, by state", "state")
_subscriptions = _gauge("wef_subscriptions", "Enabled subscriptions")
_free = _gauge("wef_state_free_bytes", "Free bytes on the disk of the state folder")


def sources_counted(states: dict[str, int]) -> None:
    for state, count in states.items():
        _sources.labels(state).set(count)


def state_disk_measured(free: int) -> None:
    _free.set(free)


def listening(listener: str, address: str, port: int, transport: str) -> None:
    _log.info("listening", listener=listener, address=address, port=port, transport=transport)


def subscriptions_loaded(count: int, reloaded: bool) -> None:
    _subscriptions.set(count)
    _log.info("subscriptions reloaded" if reloaded else "subscriptions loaded", enabled=count)


def pure_kernel_works(reason: str, sldc: Sequence[str]) -> None:
    """*sldc*: the subscriptions that ask for the compression which is slowest without the compiled kernel."""
    cost = {"asked_for_sldc": ", ".join(sldc), "remedy": 'compression = "none" there'} if sldc else {}
    _log.warning("the pure kernel works: the same answers for several times the CPU", reason=reason, **cost)


def reload_refused(problems: str) -> None:
    _log.error("reload refused, the old subscriptions stay", problems=problems)


def ready(version: str) -> None:
    _log.info("ready", version=version)


def draining(reason: str) -> None:
    _log.info("draining", reason=reason)


def stopped(clean: bool) -> None:
    _log.info("stopped", clean=clean)


def state_trouble(text: str) -> None:
    _log.error("state trouble: batches are refused until it is mended", text=text[:300])


def state_mended() -> None:
    _log.info("state works again")
