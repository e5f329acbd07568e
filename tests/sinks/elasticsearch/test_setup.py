"""What ``wef setup elasticsearch`` decides: tested on a pretend cluster; the real ones are in test_setup_real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from collector.cli.setup import applied
from collector.errors import OperatorError
from collector.sinks.elasticsearch.cluster import Cluster
from collector.sinks.elasticsearch.comparison import difference
from collector.sinks.elasticsearch.existing import missing_from
from collector.sinks.elasticsearch.mappings import mappings
from collector.sinks.elasticsearch.policies import ilm, ism, rollover_after
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.setup import ElasticsearchSetup
from collector.sinks.elasticsearch.template_settings import TemplateSettings
from collector.sinks.elasticsearch.templates import Server, StreamNames, assets
from collector.sinks.findings import Found
from tests.sinks.elasticsearch.pretend_cluster import PretendCluster

DAY = 86_400


def setup_of(cluster: PretendCluster, setup: dict[str, Any] | None = None, **more: Any) -> ElasticsearchSetup:
    written = {"hosts": ["http://pretend"], "setup": setup or {}, **more}
    return ElasticsearchSetup("search", ElasticsearchSettings.model_validate(written), Cluster(cluster, "search"))


def said(found: Sequence[Found], state: str) -> list[str]:
    return [f"{one.finding.name}: {one.finding.difference}" for one in found if one.finding.state == state]


def wrong(found: Sequence[Found]) -> list[str]:
    return said(found, "missing") + said(found, "different")


RETENTIONS: dict[str, Any] = {"retention": "90d", "retentions": {"system.security": "365d"}}


@pytest.mark.parametrize(
    ("setup", "opensearch"),
    [({}, False), (RETENTIONS, False), ({**RETENTIONS, "lifecycle": "ilm"}, False), (RETENTIONS, True), ({}, True)],
)
async def test_a_second_setup_finds_nothing_to_do(setup: dict[str, Any], opensearch: bool) -> None:
    """Servers spell bodies their own way; a setup that never says "right" is one nobody believes."""
    cluster = PretendCluster(opensearch=opensearch)
    asked = setup_of(cluster, setup, product="opensearch" if opensearch else "elasticsearch")

    assert len(wrong(await asked.inspect())) >= 3
    assert wrong(await applied(asked)) == []
    before = list(cluster.asked)
    assert wrong(await applied(asked)) == []
    assert cluster.asked == before


async def test_looking_changes_nothing() -> None:
    """Without --apply it is safe to run on the cluster of somebody else."""
    cluster = PretendCluster()
    await setup_of(cluster).inspect()

    assert cluster.asked == []


async def test_a_changed_retention_is_changed_in_place_and_a_dropped_one_is_removed() -> None:
    """What is left over would stand above ours and go on deleting after the old time."""
    cluster = PretendCluster()
    await applied(setup_of(cluster, RETENTIONS))
    longer = {"retention": "90d", "retentions": {"system.security": "400d"}}

    told = wrong(await setup_of(cluster, longer).inspect())
    assert told == ["wef-logs-system.security: template.lifecycle.data_retention is 365d, should be 400d"]

    found = await applied(setup_of(cluster, {"retention": "90d"}))
    assert wrong(found) == []
    assert "/_index_template/wef-logs-system.security" not in cluster.kept


async def test_templates_of_others_are_never_removed() -> None:
    """A template of the same prefix that somebody wrote by hand is theirs."""
    cluster = PretendCluster()
    await applied(setup_of(cluster))
    own = {"index_patterns": ["logs-system.security-*"], "priority": 300, "data_stream": {}}
    cluster.kept["/_index_template/wef-logs-mine"] = own
    found = await applied(setup_of(cluster))

    assert "/_index_template/wef-logs-mine" in cluster.kept
    assert said(found, "note") == [
        "logs-system.security-default: the template wef-logs-mine (priority 300) wins: its mapping applies, not ours"
    ]


@pytest.mark.parametrize("owner", [{"managed": True}, {"managed_by": "fleet", "managed": True}])
async def test_what_others_manage_is_never_overwritten(owner: dict[str, Any]) -> None:
    """Two products with one prefix: the other one's streams would get our mapping."""
    cluster = PretendCluster()
    theirs = {"template": {"settings": {"number_of_replicas": "5"}}, "_meta": owner}
    cluster.kept["/_component_template/wef@settings"] = theirs

    found = await applied(setup_of(cluster))

    assert cluster.kept["/_component_template/wef@settings"] == theirs
    assert [text for text in wrong(found) if "made it, so it is not changed" in text]


async def test_a_retention_that_somebody_added_to_our_template_is_found() -> None:
    """Settings that say "keep" and a template that deletes after a month: that is how evidence is lost."""
    cluster = PretendCluster()
    await applied(setup_of(cluster))
    cluster.kept["/_index_template/wef-logs"]["template"] = {"lifecycle": {"data_retention": "30d"}}

    assert wrong(await setup_of(cluster).inspect()) == ["wef-logs: template.lifecycle should not be there"]
    assert wrong(await applied(setup_of(cluster))) == []


async def test_streams_that_exist_get_the_new_retention_and_a_new_write_index() -> None:
    """A template reaches neither: the lifecycle was copied when the stream was made, the mapping with its index."""
    cluster = PretendCluster()
    name, index = "logs-system.security-default", ".ds-logs-system.security-default-000001"
    cluster.streams = [
        {
            "name": name,
            "template": "wef-logs",
            "indices": [{"index_name": index}],
            "lifecycle": {"enabled": True, "data_retention": "30d"},
        }
    ]
    await applied(setup_of(cluster, {"retention": "90d"}))

    assert ("PUT", f"/_data_stream/{name}/_lifecycle") in cluster.asked
    assert ("POST", f"/{name}/_rollover") in cluster.asked

    cluster.mappings[index] = mappings("dynamic", "elasticsearch")
    told = wrong(await setup_of(cluster, {"retention": "90d"}).inspect())
    assert told == [f"{name}: it exists, and its lifecycle.data_retention is 30d, should be 90d"]


async def test_streams_with_a_template_of_others_are_left_alone() -> None:
    """Fleet's streams are Fleet's to roll over."""
    cluster = PretendCluster()
    cluster.streams = [{"name": "logs-system.security-default", "template": "fleet", "indices": [{"index_name": "x"}]}]

    assert wrong(await applied(setup_of(cluster, {"retention": "90d"}))) == []


async def test_what_the_server_refuses_is_told_in_its_words_and_left() -> None:
    """Half a setup must not look like a whole one."""
    cluster = PretendCluster()
    await applied(setup_of(cluster))
    del cluster.kept["/_index_template/wef-logs"]

    class Stubborn(PretendCluster):
        async def request(self, method: str, path: str, body: bytes | None = None, media: Any = "json") -> Any:
            if method == "PUT":
                self.statuses = {path: 400}
            return await super().request(method, path, body, media)

    stubborn = Stubborn()
    stubborn.kept = cluster.kept
    found = await applied(setup_of(stubborn))
    stubborn.statuses = {}

    assert any("scripted 400" in told for told in wrong(found))


@pytest.mark.parametrize(("path", "status", "code"), [("/_component", 403, 77), ("/", 401, 77)])
async def test_a_missing_privilege_is_named_and_ends_with_77(path: str, status: int, code: int) -> None:
    """The sink's own key may not write templates; whoever runs setup has to know which one may."""
    cluster = PretendCluster()
    cluster.statuses = {path: status}
    with pytest.raises(OperatorError, match="manage_index_templates") as refused:
        await setup_of(cluster).inspect()

    assert refused.value.exit_code == code


async def test_another_product_than_the_settings_say_is_refused() -> None:
    """Elastic's templates on OpenSearch are half accepted, which is worse than not at all."""
    with pytest.raises(OperatorError, match=r"this server is opensearch 2\.19\.1"):
        await setup_of(PretendCluster("2.19.1", opensearch=True)).inspect()


@pytest.mark.parametrize(("status", "code"), [(404, 78), (400, 78), (503, 69)])
async def test_what_answers_for_somebody_else_is_no_cluster(status: int, code: int) -> None:
    """A path too much in the address, a proxy without its server: not three templates that are "different"."""
    cluster = PretendCluster()
    cluster.statuses["/"] = status

    with pytest.raises(OperatorError, match=f"GET / at http://pretend says {status}") as refused:
        await setup_of(cluster).inspect()

    assert refused.value.exit_code == code


async def test_retention_of_a_dataset_that_no_event_gets_is_refused() -> None:
    """A typing error there would delete Security after the time of everything else."""
    with pytest.raises(OperatorError, match=r'"system\.securty"') as refused:
        await setup_of(PretendCluster(), {"retentions": {"system.securty": "365d"}}).inspect()

    assert refused.value.exit_code == 78


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"lifecycle": "none", "retention": "90d"}, "deletes nothing"),
        ({"retention": "1h"}, "greater than or equal to 86400"),
        ({"priority": 200}, "198"),
        ({"prefix": "logs"}, "is Elastic"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(written: dict[str, Any], problem: str) -> None:
    """Before anything is asked of a server."""
    with pytest.raises(ValidationError) as refused:
        TemplateSettings.model_validate(written)
    assert problem in str(refused.value.errors())


async def test_a_lifecycle_that_the_server_does_not_have_is_refused() -> None:
    """ISM on Elasticsearch would be a policy that nobody carries out."""
    with pytest.raises(OperatorError, match="OpenSearch's"):
        await setup_of(PretendCluster(), {"lifecycle": "ism", "retention": "9d"}).inspect()


async def test_a_server_without_policies_is_told_of() -> None:
    """OpenSearch without its ISM plugin answers 400; retention cannot be had there."""
    cluster = PretendCluster(opensearch=True)
    cluster.statuses = {"/_plugins": 400}
    found = await applied(setup_of(cluster, {"retention": "9d"}, product="opensearch"))

    assert any("seems to have no such policies" in told for told in wrong(found))


def bodies(server: Server, template: str = "logs-{dataset}-{namespace}", **setup: Any) -> dict[str, Any]:
    made = assets(TemplateSettings.model_validate(setup), StreamNames(template, ["default"]), server)
    return {asset.name: asset.body for asset in made}


def test_opensearch_gets_nothing_that_it_does_not_know() -> None:
    """It refuses unknown settings with 400, and stores a list of patterns as one text (servers.md 5.2)."""
    made = bodies(Server("opensearch", (2, 19)), retention="90d")
    text = str(made)

    for unknown in ("ignore_dynamic_beyond_limit", "ignore_missing", "data_retention", "flattened", "logs@"):
        assert unknown not in text
    for rule in made["wef@mappings"]["template"]["mappings"]["dynamic_templates"]:
        assert all(isinstance(one["path_match"], str) for one in rule.values())


def test_ours_stand_before_ecs_mappings() -> None:
    """The first dynamic template that matches wins, and ecs@mappings makes dates of names like "created"."""
    composed = bodies(Server("elasticsearch"))["wef-logs"]["composed_of"]

    assert composed == ["logs@mappings", "logs@settings", "wef@mappings", "wef@settings", "ecs@mappings"]


def test_old_servers_get_no_setting_that_came_later() -> None:
    """An unknown setting refuses the whole template."""
    assert "ignore_dynamic_beyond_limit" not in str(bodies(Server("elasticsearch", (8, 12))))
    assert "ignore_dynamic_beyond_limit" in str(bodies(Server("elasticsearch", (8, 13))))


def test_a_fixed_stream_gets_a_template_for_itself_alone() -> None:
    """The mode of Beats shops: winlogbeat-8.19.0, and nothing of Elastic's own logs templates."""
    made = bodies(Server("elasticsearch"), "winlogbeat-8.19.0")["wef-winlogbeat-8.19.0"]

    assert made["index_patterns"] == ["winlogbeat-8.19.0"]
    assert made["composed_of"] == ["wef@mappings", "wef@settings", "ecs@mappings"]


@pytest.mark.parametrize(
    ("days", "after"), [(1, "1h"), (7, "1d"), (14, "1d"), (60, "7d"), (90, "7d"), (365, "30d"), (None, "30d")]
)
def test_short_retentions_roll_over_soon(days: int | None, after: str) -> None:
    """Whole indices are deleted: a week's retention must not keep a month."""
    assert rollover_after(None if days is None else float(days * DAY)) == after


def test_no_policy_deletes_without_a_retention() -> None:
    """Nobody asked for it."""
    assert "delete" not in str(ilm(None))
    assert "delete" not in str(ism(None, ["logs-*"], 150))
    assert ism(90.0 * DAY, [], 150)["policy"]["states"][0]["transitions"][0]["conditions"] == {
        "min_rollover_age": "90d"
    }


def test_comparison_sees_through_spelling_and_nothing_else() -> None:
    """Texts for numbers, dotted names, defaults: the same. A field more, a field less: not."""
    ours = {"template": {"settings": {"index": {"codec": "x", "mapping.total_fields.limit": 2000}}}}
    theirs = {"template": {"settings": {"index": {"codec": "x", "mapping": {"total_fields": {"limit": "2000"}}}}}}
    assert difference(ours, theirs) == ""

    theirs["template"]["settings"]["index"]["refresh_interval"] = "1s"
    assert difference(ours, theirs) == "template.settings.refresh_interval is 1s, should not be there"
    mapped = {"mappings": {"properties": {"a": {"type": "keyword"}}}}
    assert difference(mapped, {}) == "mappings.properties.a.type is missing, should be keyword"
    assert difference({"priority": 150}, {"priority": 150, "version": 3}) == ""
    assert difference({"composed_of": ["a", "b"]}, {"composed_of": ["b", "a"]}) != ""
    assert difference({"index_patterns": ["a", "b"]}, {"index_patterns": ["b", "a"]}) == ""


def test_an_index_with_more_fields_than_ours_is_good_enough() -> None:
    """Documents and other templates add fields; only what we need and it lacks asks for a rollover."""
    ours = mappings("dynamic", "elasticsearch")
    held = mappings("dynamic", "elasticsearch")
    held["properties"]["agent"] = {"type": "keyword"}
    assert missing_from(ours, held) == ""

    held["properties"]["message"] = {"type": "text"}
    assert missing_from(ours, held) == "message is text, should be match_only_text"
    held["dynamic_templates"] = held["dynamic_templates"][1:]
    assert missing_from(ours, held) == "it has no dynamic template event_data_string"
    assert missing_from(ours, None) != ""
