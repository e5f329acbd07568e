"""Sinks of one collector that ``wef setup`` would set up in the same cluster, each undoing what the other one did.

Templates bear names made of settings, and speak for every namespace. Two sinks that want different things under
one name would take turns, and the last one's retention would delete the first one's events. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from collector.errors import OperatorError
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.templates import Server, StreamNames, assets

_TEMPLATES = "/_index_template/"


def require_harmony(sinks: Mapping[str, ElasticsearchSettings]) -> None:
    """Raises ``OperatorError`` (78) that names each pair of *sinks* (by name) that cannot both be right."""
    wanted = {name: _bodies(settings) for name, settings in sinks.items()}
    problems = [
        f"sinks {one} and {other} make {path.rpartition('/')[2]} in the same cluster, and not the same; let their"
        " setup, datasets and data_stream say the same, or give one of them another setup.prefix and data_stream."
        for one, other in combinations(sinks, 2)
        if _hosts(sinks[one]) & _hosts(sinks[other]) and (path := _contested(wanted[one], wanted[other]))
    ]
    if problems:
        raise OperatorError(*problems)


def _contested(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The path of something that both want differently; empty: nothing."""
    shared = one.keys() & other.keys()
    # With a template in common the others belong to it as well: what one sink does not want, it removes.
    asked = one.keys() | other.keys() if any(path.startswith(_TEMPLATES) for path in shared) else shared
    return next((path for path in sorted(asked) if one.get(path) != other.get(path)), "")


def _bodies(settings: ElasticsearchSettings) -> dict[str, Any]:
    streams = StreamNames(settings.data_stream, [settings.namespace], settings.datasets)
    try:
        return {asset.path: asset.body for asset in assets(settings.setup, streams, Server(settings.product))}
    except ValueError:  # setup says what is wrong with it when it gets there
        return {}


def _hosts(settings: ElasticsearchSettings) -> set[str]:
    return {host.rstrip("/").lower() for host in settings.hosts}
