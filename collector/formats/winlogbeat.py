"""``winlogbeat``: the document of normalization.md 4, followed by what the collector knows about its way here.

A document ends ``...,"event":{<of the event>,"created":"..."},"wef":{"event_id":"...",<the same for all>}}``. So what
is the same for a whole batch is two prebuilt runs of bytes, one before and one after the id, and no
document is touched to add them. It knows a harvest and no sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.formats.records import Drop, to_json
from collector.model import Batch
from collector.normalize import Block, Harvest

Tree = dict[str, "Tree | None"]
"""Dropped names as a tree; None: everything below."""


def lines(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    """One document for each row."""
    return _pruned(harvest, drop) if drop else _whole(harvest)


def block(harvest: Harvest, drop: Drop) -> Block | None:
    """All of them at once, as the compiled kernel wrote them."""
    return None if drop else harvest.block(*_around(harvest), to_json)


def provenance(batch: Batch) -> dict[str, Any]:
    """What every document of *batch* says under ``wef`` besides its id (contract.md 4)."""
    subscription, caller = batch.subscription, batch.caller
    return {
        "subscription": {"id": subscription.id, "name": subscription.name, "revision": subscription.revision},
        "client": {"name": caller.name, "principal": caller.principal, "ip": caller.address},
        "collector": batch.collector,
    }


def _around(harvest: Harvest) -> tuple[bytes, bytes]:
    """What is written before and after the id, in place of the two braces that end a document.

    A document ends with its "event", which always holds "kind": its last two bytes close both.
    """
    before = b',"created":"' + harvest.received.encode() + b'"},"wef":{"event_id":"'
    return before, b'",' + to_json(provenance(harvest.batch))[1:] + b"}"


def _whole(harvest: Harvest) -> Iterable[bytes]:
    before, after = _around(harvest)
    for document, event_id in zip(harvest.fields(), harvest.ids, strict=True):
        yield to_json(document)[:-2] + before + event_id.encode() + after


def _pruned(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    tree = _tree(drop)
    constants: dict[str, Any] = _without({"wef": provenance(harvest.batch)}, tree)
    for document, event_id in zip(harvest.fields(), harvest.ids, strict=True):
        kept = _without({**document, "event": {**document["event"], "created": harvest.received}}, tree)
        # Whatever is dropped: without its id nobody could tell a duplicate from an event.
        kept["wef"] = {"event_id": event_id, **constants.get("wef", {})}
        yield to_json(kept)


def _tree(drop: Drop) -> Tree:
    tree: Tree = {}
    for name in drop:
        *path, last = name.split(".")
        branch: Tree | None = tree
        for part in path:
            if branch is None:
                break  # something above is dropped already
            branch = branch.setdefault(part, {})
        if branch is not None:
            branch[last] = None
    return tree


def _without(found: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """A copy of *found* as far down as *tree* reaches; what is shared is not changed."""
    kept = {}
    for name, value in found.items():
        if name not in tree:
            kept[name] = value
            continue
        branch = tree[name]
        if branch is not None:
            kept[name] = _without(value, branch) if isinstance(value, dict) else value
    return kept
