"""What ``wef setup elasticsearch`` finds in a cluster, and does there: templates, policies, the streams that exist.

A template speaks for the next backing index only. So streams that exist are looked at as well: their write index is
rolled over when it was made otherwise, and their lifecycle is their own. ``templates`` knows what should be there,
``comparison`` whether it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from collector.errors import OperatorError
from collector.sinks.elasticsearch import existing, precedence
from collector.sinks.elasticsearch.clients import connect
from collector.sinks.elasticsearch.cluster import CONFIGURATION, UNREACHABLE, Answer, Cluster
from collector.sinks.elasticsearch.comparison import difference
from collector.sinks.elasticsearch.mappings import Product
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.templates import (
    NEWEST,
    OURS,
    Asset,
    Server,
    StreamNames,
    assets,
    groups,
    lifecycle_of,
)
from collector.sinks.findings import Change, Finding, Found, Refused

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


class ElasticsearchSetup:
    """The cluster of the sink *name*."""

    def __init__(self, name: str, settings: ElasticsearchSettings, cluster: Cluster) -> None:
        self._name, self._settings, self._cluster = name, settings, cluster
        self._streams = StreamNames(
            settings.data_stream,
            [settings.namespace, *settings.namespaces.values()],
            settings.datasets,
        )

    @classmethod
    def of(cls, name: str, settings: ElasticsearchSettings) -> ElasticsearchSetup:
        """Connects with its first question. Raises ``OperatorError`` for files that are no certificates."""
        return cls(name, settings, Cluster(connect(settings), name))

    async def inspect(self) -> Sequence[Found]:
        server = await self._server()
        try:
            managed = groups(self._settings.setup, self._streams)
            lifecycle = lifecycle_of(self._settings.setup, server)
            wanted = assets(self._settings.setup, self._streams, server)
        except ValueError as error:
            raise OperatorError(f"at sinks.{self._name}.setup: {error}") from error
        found = [await self._look_at(asset) for asset in wanted]
        found += self._advice(server)
        found += await precedence.look(self._cluster, wanted, self._streams, policies=lifecycle == "ism")
        found += await existing.look(self._cluster, managed, self._streams, wanted, lifecycle)
        return found

    async def perform(self, change: Change) -> None:
        answer = await self._cluster.ask(change.verb, change.target, change.body)
        if not answer.good:
            raise Refused(f"the server refused {change.verb} {change.target}: {answer.reason}")

    async def close(self) -> None:
        await self._cluster.close()

    async def _server(self) -> Server:
        """What answers. A server that does not tell its version is taken for a new one."""
        answer = await self._cluster.ask("GET", "/")
        if not answer.good or not answer.table:
            at = f"sinks.{self._name}: GET / at {', '.join(self._settings.hosts)} says"
            if answer.status >= 500:
                raise OperatorError(f"{at} {answer.reason}: it is not ready.", exit_code=UNREACHABLE)
            text = f"{at} {answer.reason}, which is not {self._settings.product}; check the address in hosts."
            raise OperatorError(text, exit_code=CONFIGURATION)
        about = answer.table.get("version")
        about = about if isinstance(about, dict) else {}
        product: Product = "opensearch" if about.get("distribution") == "opensearch" else "elasticsearch"
        if about and product != self._settings.product:
            raise OperatorError(
                f'at sinks.{self._name}.product: it says "{self._settings.product}", but this server is {product}'
                f" {str(about.get('number'))[:20]}.",
                exit_code=CONFIGURATION,
            )
        numbers = _VERSION.match(str(about.get("number", "")))
        version = (int(numbers[1]), int(numbers[2])) if numbers else NEWEST
        return Server(self._settings.product, version)

    async def _look_at(self, asset: Asset) -> Found:
        answer = await self._cluster.ask("GET", asset.path)
        if answer.status == 404:
            return Found(Finding(asset.kind, asset.name, "missing"), asset.change)
        if not answer.good:
            text = f"it cannot be read ({answer.reason})"
            if asset.kind == "lifecycle policy":
                text += "; this server seems to have no such policies: choose another lifecycle"
            return Found(Finding(asset.kind, asset.name, "different", text))
        if owner := _owner(held(asset, answer)):
            text = f"{owner} made it, so it is not changed; choose another setup.prefix"
            return Found(Finding(asset.kind, asset.name, "different", text))
        # A template that says nothing is one that should say nothing: no retention of somebody's.
        told = difference({"template": {}, **asset.body}, {"template": {}, **held(asset, answer)})
        if told:
            return Found(Finding(asset.kind, asset.name, "different", told), _renewed(asset, answer))
        return Found(Finding(asset.kind, asset.name, "right"))

    def _advice(self, server: Server) -> list[Found]:
        setup, found = self._settings.setup, []
        if server.product == "opensearch" and setup.event_data == "dynamic":
            text = (
                f"OpenSearch refuses documents that bring an index above {setup.fields} fields, and sources choose the"
                ' names of event data; event_data = "flattened" has no such limit'
            )
            found.append(Found(Finding("setting", f"sinks.{self._name}.setup.event_data", "note", text)))
        return found


def held(asset: Asset, answer: Answer) -> Mapping[str, Any]:
    """The body that *answer* holds for *asset*, without the envelope that each interface has."""
    table = answer.table
    match asset.kind:
        case "component template":
            return _entry(table.get("component_templates"), asset.name, "component_template")
        case "index template":
            return _entry(table.get("index_templates"), asset.name, "index_template")
        case _:
            inner = table.get(asset.name, table)  # ILM answers by name, ISM bare
            return inner if isinstance(inner, dict) else {}


def _owner(body: Mapping[str, Any]) -> str:
    """Who says in *body* that it is theirs; empty: we, or nobody."""
    about = body.get("_meta")
    about = about if isinstance(about, dict) else {}
    if about.get("managed_by") in (None, *OURS.values()):
        return "the cluster" if about.get("managed") else ""
    return f'"{str(about["managed_by"])[:80]}"'


def _entry(entries: object, name: str, key: str) -> Mapping[str, Any]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(key), dict):
            body: dict[str, Any] = entry[key]
            return body
    return {}


def _renewed(asset: Asset, answer: Answer) -> Change:
    """ISM takes a new version of a policy only from who has seen the last one."""
    number, term = answer.table.get("_seq_no"), answer.table.get("_primary_term")
    if isinstance(number, int) and isinstance(term, int):
        return Change("PUT", f"{asset.path}?if_seq_no={number}&if_primary_term={term}", asset.body)
    return asset.change
