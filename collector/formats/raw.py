"""The events' XML as it was received: ``raw`` bare, ``raw_json`` with where it came from (OpenWEC's RawJson)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from collector.formats.records import Drop, to_json, to_utf8
from collector.model import Batch
from collector.normalize import Block, Harvest, lines, wrap


def raw_lines(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    """XML on one line: line ends inside are written as the references that XML has for them."""
    for text in harvest.texts:
        yield to_utf8(text.replace("\n", "&#10;").replace("\r", "&#13;"))


def raw_block(harvest: Harvest, drop: Drop) -> Block | None:
    """The same at once."""
    return lines(harvest.texts)


def raw_json_lines(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    """``{"meta":{...},"data":"<Event ..."}``, sinks.md 6.2."""
    start = _start(harvest.batch)
    for text in harvest.texts:
        yield start + to_json(text) + b"}"


def raw_json_block(harvest: Harvest, drop: Drop) -> Block | None:
    """The same at once."""
    return wrap(harvest.texts, _start(harvest.batch), b"}")


def _start(batch: Batch) -> bytes:
    return b'{"meta":' + to_json(_meta(batch)) + b',"data":'


def _meta(batch: Batch) -> dict[str, Any]:
    caller, subscription = batch.caller, batch.subscription
    described = {"Uuid": subscription.id, "Version": subscription.version, "Name": subscription.name}
    if subscription.revision:
        described["ClientRevision"] = subscription.revision  # the revision under which the client collected
    meta: dict[str, Any] = {
        "IpAddress": caller.address,
        "TimeReceived": batch.received.astimezone(UTC).isoformat(),
        "Principal": caller.principal,  # OpenWEC's older name for Client
        "Client": caller.principal,
        "Subscription": described,
    }
    if batch.collector:
        meta["Node"] = batch.collector
    return meta
