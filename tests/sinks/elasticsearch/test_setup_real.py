"""``wef setup elasticsearch`` against real servers: what it installs is accepted, read back as right, and works.

The nodes are the module's own, because templates are the whole cluster's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from collector.sinks.elasticsearch.mappings import WIDE
from tests.cli.running import Ended, wef
from tests.servers.elasticsearch import Elasticsearch, SecureElasticsearch
from tests.servers.fixtures import Factory, made
from tests.servers.http_server import HttpServer
from tests.servers.opensearch import OpenSearch

pytestmark = pytest.mark.slow

NAMES = ("ip", "timestamp", "created", "message", "name")
"""Names of event data that the patterns of ecs@mappings take for something else (servers.md 4.4)."""
EVENT = """\
<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Some-Provider'/>\
<EventID>{id}</EventID><Version>2</Version><Level>4</Level><TimeCreated SystemTime='2026-01-02T03:04:05.1234567Z'/>\
<EventRecordID>{id}</EventRecordID><Execution ProcessID='588' ThreadID='652'/><Channel>Security</Channel>\
<Computer>pc01.corp.example</Computer></System><EventData>{data}</EventData></Event>"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def elastic(nodes: ExitStack) -> Elasticsearch:
    """With Elastic's own templates, as a full Elasticsearch has them."""
    node = nodes.enter_context(made(Elasticsearch)).start().wait()
    assert isinstance(node, Elasticsearch)
    node.load_built_in_templates()
    return node


@pytest.fixture(scope="module")
def open_search(nodes: ExitStack) -> OpenSearch:
    node = nodes.enter_context(made(OpenSearch)).start().wait()
    assert isinstance(node, OpenSearch)
    return node


class Site:
    """collector.toml of one sink, and ``wef setup elasticsearch`` with it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def write(self, node: HttpServer, setup: str = "", more: str = "") -> None:
        (self.folder / "collector.toml").write_text(
            f'[sinks.search]\ntype = "elasticsearch"\nhosts = ["{node.url}"]\n{more}\n[sinks.search.setup]\n{setup}\n'
        )

    def setup(self, *arguments: str) -> Ended:
        file = self.folder / "collector.toml"
        return wef(self._capsys, "setup", "elasticsearch", "--json", "--config", file, *arguments)

    def documents(self, *events: str) -> list[dict[str, Any]]:
        """As ``wef normalize`` spells them."""
        (self.folder / "events.xml").write_text("".join(events))
        return wef(self._capsys, "normalize", "--format", "winlogbeat", self.folder / "events.xml").rows


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path, capsys)


def event(number: int, **data: str) -> str:
    return EVENT.format(id=number, data="".join(f"<Data Name='{name}'>{text}</Data>" for name, text in data.items()))


def states(ended: Ended) -> set[str]:
    return {row["state"] for row in ended.rows}


def stored(node: HttpServer, stream: str, *documents: dict[str, Any]) -> list[int]:
    """The statuses of a bulk that creates *documents*."""
    lines = b"".join(b'{"create":{}}\n' + json.dumps(document).encode() + b"\n" for document in documents)
    return [item["create"]["status"] for item in node.told("POST", f"/{stream}/_bulk?refresh=true", lines)["items"]]


def types(node: HttpServer, stream: str, *names: str) -> dict[str, list[str]]:
    found = node.told("GET", f"/{stream}/_field_caps?fields={','.join(names)}")["fields"]
    return {name: [kind for kind in found.get(name, {}) if kind != "unmapped"] for name in names}


def found_by(node: HttpServer, stream: str, field: str, value: str) -> int:
    query = {"query": {"term": {field: value}}}
    total = node.told("POST", f"/{stream}/_search", query)["hits"]["total"]["value"]
    assert isinstance(total, int)
    return total


def test_missing_then_applied_then_nothing_to_do(elastic: Elasticsearch, site: Site) -> None:
    """The whole life of the command: 1, 0, 0; and beside Elastic's own templates ours win."""
    site.write(elastic, 'retention = "90d"\nretentions = { "system.security" = "365d" }\nprefix = "life"')
    first, applied, again = site.setup(), site.setup("--apply"), site.setup()

    assert [first.code, applied.code, again.code] == [1, 0, 0]
    assert states(first) == {"missing"}
    assert states(applied) == states(again) == {"right"}
    told = {row["name"]: row["difference"] for row in again.rows if row["object"] == "data stream"}
    assert told["logs-system.security-default"].startswith("gets the template life-logs-system.security, above ")
    forget(elastic, "life-logs-system.security", "life-logs")


def forget(node: HttpServer, *templates: str) -> None:
    for template in templates:
        node.told("DELETE", f"/_index_template/{template}")


def test_event_data_stays_text_whatever_its_names_look_like(elastic: Elasticsearch, site: Site) -> None:
    """The table of servers.md 4.4: under Elastic's templates alone, values under such names are lost for search."""
    site.write(elastic)
    assert site.setup("--apply").code == 0
    stream = "logs-system.security-default"
    (document,) = site.documents(event(4624, **dict.fromkeys(NAMES, "no date, no address")))

    assert stored(elastic, stream, document) == [201]
    fields = [f"winlog.event_data.{name}" for name in NAMES]
    assert types(elastic, stream, *fields) == {field: ["keyword"] for field in fields}
    assert all(found_by(elastic, stream, field, "no date, no address") == 1 for field in fields)
    assert types(elastic, stream, "@timestamp", "winlog.process.pid", "wef.client.ip", "winlog.record_id") == {
        "@timestamp": ["date_nanos"],
        "winlog.process.pid": ["long"],
        "wef.client.ip": ["ip"],
        "winlog.record_id": ["keyword"],
    }


def test_a_source_that_invents_names_cannot_fill_the_mapping(elastic: Elasticsearch, site: Site) -> None:
    """Whoever may send events chooses names: 3,000 of them, and the next honest event is still taken."""
    site.write(elastic)
    assert site.setup("--apply").code == 0
    stream = "logs-windows.forwarded-default"
    (flood, honest) = site.documents(event(1, a="b"), event(2, c="d"))
    flood["winlog"]["event_data"] = {f"name{number}": "x" for number in range(3000)}

    assert stored(elastic, stream, flood, honest) == [201, 201]
    assert found_by(elastic, stream, "winlog.event_id", "2") == 1


def test_long_values_reject_no_document(elastic: Elasticsearch, site: Site) -> None:
    """Lucene refuses terms above 32,766 bytes; four bytes for each of 8,191 characters stay below that."""
    site.write(elastic)
    assert site.setup("--apply").code == 0
    long, longest = site.documents(event(1, Script="x" * 40_000), event(2, Script="\N{GRINNING FACE}" * WIDE))

    assert stored(elastic, "logs-windows.powershell-default", long, longest) == [201, 201]


def test_flattened_event_data_is_one_field(elastic: Elasticsearch, site: Site) -> None:
    """No number of names makes the mapping longer, and exact search stays."""
    site.write(elastic, 'event_data = "flattened"\nprefix = "flat"', 'data_stream = "flat-{dataset}-{namespace}"')
    assert site.setup("--apply").code == 0
    (document,) = site.documents(event(4624, ip="no address", Script="x" * 40_000))
    stream = "flat-system.security-default"

    assert stored(elastic, stream, document) == [201]
    assert types(elastic, stream, "winlog.event_data") == {"winlog.event_data": ["flattened"]}
    assert found_by(elastic, stream, "winlog.event_data.ip", "no address") == 1


def test_a_template_that_stands_above_ours_is_told_of(elastic: Elasticsearch, site: Site) -> None:
    """Fleet's integrations do so at priority 200: no failure, but their mapping applies."""
    site.write(elastic, 'prefix = "wef"')
    elastic.told(
        "PUT",
        "/_index_template/logs-system.system",
        {"index_patterns": ["logs-system.system-*"], "priority": 200, "data_stream": {}},
    )
    ended = site.setup("--apply")
    forget(elastic, "logs-system.system")

    assert ended.code == 0
    assert [row["difference"] for row in ended.rows if row["state"] == "note"] == [
        "the template logs-system.system (priority 200) wins: its mapping applies, not ours"
    ]


def test_what_a_person_changed_is_found_and_changed_back(elastic: Elasticsearch, site: Site) -> None:
    """The difference is named by its path, so that one can decide which side is wrong."""
    site.write(elastic)
    site.setup("--apply")
    body = elastic.told("GET", "/_component_template/wef@settings")["component_templates"][0]["component_template"]
    body["template"]["settings"]["index"]["refresh_interval"] = "1m"
    elastic.told("PUT", "/_component_template/wef@settings", {"template": body["template"]})
    found = site.setup()

    (row,) = [row for row in found.rows if row["state"] == "different"]
    assert (
        row["difference"] == "template.settings.refresh_interval is 1m, should be 5s; _meta.managed_by is nothing, "
        "should be wef setup elasticsearch"
    )
    assert [site.setup("--apply").code, site.setup().code] == [0, 0]


def test_dry_run_prints_what_the_server_then_accepts(elastic: Elasticsearch, site: Site) -> None:
    """Some keep their templates in files of their own; and nothing is sent."""
    site.write(elastic, 'prefix = "dry"', 'data_stream = "dry-{dataset}-{namespace}"')
    ended = site.setup("--dry-run")
    changes = [row for row in ended.rows if "verb" in row]

    assert ended.code == 1
    assert elastic.ask("GET", "/_index_template/dry-dry").status == 404
    for change in changes:
        elastic.told(change["verb"], change["target"], change["body"])
    assert site.setup().code == 0


def test_the_failure_store_is_switched_on_by_a_setting(elastic: Elasticsearch, site: Site) -> None:
    """A document that the mapping refuses is kept in the cluster, beside its stream."""
    site.write(elastic, 'failure_store = true\nprefix = "fs"', 'data_stream = "fs-{dataset}-{namespace}"')
    assert site.setup("--apply").code == 0
    (document,) = site.documents(event(1, a="b"))
    document["host"] = "no object"

    lines = b'{"create":{}}\n' + json.dumps(document).encode() + b"\n"
    (item,) = elastic.told("POST", "/fs-system.security-default/_bulk", lines)["items"]
    assert (item["create"]["status"], item["create"]["failure_store"]) == (201, "used")
    assert site.setup().code == 0


def test_a_key_that_may_only_write_ends_with_77(
    secure_elasticsearch_factory: Factory[SecureElasticsearch], site: Site
) -> None:
    """The sink's own key may look and not make; the message names the privileges. A wrong CA is no silence either."""
    node = secure_elasticsearch_factory()
    site.write(node, more=f'ca = "{node.ca}"\napi_key = "{node.api_key()}"')
    looked, refused = site.setup(), site.setup("--apply")
    site.write(node, more=f'ca = "{node.ca}"\nusername = "{node.user}"\npassword = "wrong"')
    wrong = site.setup()
    site.write(node, more=f'ca = "{node.stranger_ca}"\nusername = "{node.user}"\npassword = "{node.password}"')
    distrusted = site.setup()
    site.write(node, more=f'ca = "{node.ca}"\nusername = "{node.user}"\npassword = "{node.password}"')

    assert (looked.code, refused.code, wrong.code, distrusted.code) == (1, 77, 77, 78)
    assert "manage_index_templates" in refused.err
    assert "certificate" in distrusted.err
    assert [site.setup("--apply").code, site.setup().code] == [0, 0]


def test_opensearch_is_set_up_in_its_own_words(open_search: OpenSearch, site: Site) -> None:
    """The same life there; event data stays text, and a document of 40 KB values is taken."""
    site.write(open_search, more='product = "opensearch"')
    assert [site.setup().code, site.setup("--apply").code, site.setup().code] == [1, 0, 0]
    stream = "logs-system.security-default"
    document, long = site.documents(event(1, **dict.fromkeys(NAMES, "no date")), event(2, Script="x" * 40_000))

    assert stored(open_search, stream, document, long) == [201, 201]
    fields = [f"winlog.event_data.{name}" for name in NAMES]
    assert types(open_search, stream, *fields) == {field: ["keyword"] for field in fields}


def test_opensearch_streams_that_exist_are_rolled_over(open_search: OpenSearch, site: Site) -> None:
    """Somebody shipped before they set up: the old index keeps its mapping, the next one has ours."""
    stream = "late-system.security-default"
    open_search.told("PUT", "/_index_template/late", {"index_patterns": ["late-*"], "priority": 50, "data_stream": {}})
    (document,) = site.documents(event(1, a="b"))
    stored(open_search, stream, document)
    site.write(open_search, 'prefix = "late"', 'product = "opensearch"\ndata_stream = "late-{dataset}-{namespace}"')

    assert [site.setup("--apply").code, site.setup().code] == [0, 0]
    indices = open_search.told("GET", f"/_data_stream/{stream}")["data_streams"][0]["indices"]
    assert len(indices) == 2


def test_opensearch_flattened_takes_any_number_of_names(open_search: OpenSearch, site: Site) -> None:
    """It has no limit that is ignored beyond: flat_object is the way there."""
    site.write(
        open_search,
        'event_data = "flattened"\nprefix = "flat"',
        'product = "opensearch"\ndata_stream = "flat-{dataset}-{namespace}"',
    )
    assert [site.setup("--apply").code, site.setup().code] == [0, 0]
    (document,) = site.documents(event(1, a="b"))
    document["winlog"]["event_data"] = {f"name{number}": "x" for number in range(3000)}

    assert stored(open_search, "flat-system.security-default", document) == [201]
    assert found_by(open_search, "flat-system.security-default", "winlog.event_data.name7", "x") == 1


def test_opensearch_without_ism_says_that_nothing_will_be_deleted(open_search: OpenSearch, site: Site) -> None:
    """This build has no plugins: a retention that cannot be had is a difference that stays."""
    site.write(open_search, 'retention = "90d"', 'product = "opensearch"')
    ended = site.setup("--apply")

    assert ended.code == 1
    (row,) = [row for row in ended.rows if row["object"] == "lifecycle policy"]
    assert row["state"] == "different"
    assert "seems to have no such policies" in row["difference"]
