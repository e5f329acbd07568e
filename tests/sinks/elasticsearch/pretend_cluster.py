"""A pretend cluster for ``wef setup``: it keeps templates and policies, and spells them its own way when asked.

It keeps the promise of ``clients.Client``. What it does to bodies (numbers as texts, ``index.`` in front, defaults
and dates of its own) was seen on Elasticsearch 8.19 and OpenSearch 2.19; how ILM, ISM and the lifecycle of existing
streams answer was not: it is written from their documentation. ``streams`` and ``mappings`` are set by tests;
``statuses`` make it refuse: path begins with -> status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from collector.sinks.elasticsearch.clients import Media, Reply
from collector.sinks.elasticsearch.comparison import flat_settings

FOLDERS = {
    "_component_template": ("component_templates", "component_template"),
    "_index_template": ("index_templates", "index_template"),
}


class PretendCluster:
    """``asked`` is everything that changed something, in order."""

    hosts = 1

    def __init__(self, version: str = "8.19.21", *, opensearch: bool = False) -> None:
        self.about = {"number": version, **({"distribution": "opensearch"} if opensearch else {})}
        self.kept: dict[str, dict[str, Any]] = {}
        self.streams: list[dict[str, Any]] = []
        self.mappings: dict[str, Any] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []

    async def request(self, method: str, path: str, body: bytes | None = None, media: Media = "json") -> Reply:
        content = json.loads(body) if body else None
        if method != "GET" and "_simulate_index" not in path:
            self.asked.append((method, path))
        for beginning, status in self.statuses.items():
            if path.startswith(beginning):
                return _reply(status, {"error": {"type": "refused", "reason": f"scripted {status}"}})
        return self._answer(method, path.partition("?")[0], content)

    async def close(self) -> None:
        pass

    def _answer(self, method: str, path: str, content: Any) -> Reply:
        folder, _, name = path.strip("/").partition("/")
        match method:
            case "GET" if not folder:
                return _reply(200, {"version": self.about})
            case "GET" if folder == "_data_stream":
                return _reply(200, {"data_streams": self.streams})
            case "GET" if name == "_mapping":
                return _reply(200, {folder: {"mappings": self.mappings.get(folder, {})}})
            case "GET" if folder in FOLDERS:
                return self._listed(folder, name)
            case "GET":
                return _reply(200, self.kept[path]) if path in self.kept else _reply(404, {})
            case "POST" if "_simulate_index" in path:
                return _reply(200, {"template": {"mappings": {}}, "overlapping": []})
            case "PUT":
                self.kept[path] = _spelled(path, content)
            case "DELETE":
                del self.kept[path]
        return _reply(200, {"acknowledged": True})

    def _listed(self, folder: str, name: str) -> Reply:
        plural, singular = FOLDERS[folder]
        entries = [
            {"name": path.rpartition("/")[2], singular: body}
            for path, body in self.kept.items()
            if path.startswith(f"/{folder}/") and (not name or path.endswith(f"/{name}"))
        ]
        return _reply(200, {plural: entries}) if entries or not name else _reply(404, {})


def _spelled(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """*body* as a server gives it back."""
    if path.startswith("/_ilm/"):
        name = path.rpartition("/")[2]
        phases = json.loads(json.dumps(body["policy"]["phases"]))
        if "delete" in phases:
            phases["delete"]["actions"]["delete"]["delete_searchable_snapshot"] = True
        return {name: {"version": 1, "modified_date": "2026-01-01", "policy": {"phases": phases}}}
    if path.startswith("/_plugins/"):
        return {"_id": "x", "_version": 1, "_seq_no": 7, "_primary_term": 2, **body}
    spelled = json.loads(json.dumps(body))
    template = spelled.get("template", {})
    if "settings" in template:
        template["settings"] = {f"index.{name}": value for name, value in flat_settings(template["settings"]).items()}
    if "lifecycle" in template:
        template["lifecycle"]["enabled"] = True
    if "data_stream" in spelled:
        spelled["data_stream"] = {"hidden": False, "allow_custom_routing": False}
    return {**spelled, "created_date_millis": 1}


def _reply(status: int, body: Mapping[str, Any]) -> Reply:
    return Reply(status, json.dumps(body).encode(), {}, "http://pretend")
