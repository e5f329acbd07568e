"""``wef match``: the answer to "why is this event not where I look for it"."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.running import Ended, wef
from tests.cli.site import make_keys, make_site

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
SINKS = """
[sinks.archive]
type = "file"
path = "archive/{subscription}/{computer}/{channel}.jsonl"
drop_fields = ["winlog.keywords", "winlog.provider_name", "wef.event_id"]
[sinks.logons]
type = "stdout"
match = { channel = "Sec*", event_id = "4620-4630" }
[sinks.tenth]
type = "null"
sample = 0.0001
[sinks.quiet]
type = "null"
exclude = { event_id = [4624, 4634] }
"""
ONLY_SYSTEM = """
[sinks.system]
type = "null"
match.channel = "System"
"""


def event(channel: str = "Security", code: int = 4624, record: int = 7) -> str:
    return (
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='Microsoft-Windows-Security-Auditing'/>"
        f"<EventID>{code}</EventID><Level>0</Level><TimeCreated SystemTime='2026-01-02T03:04:05.0000000Z'/>"
        f"<EventRecordID>{record}</EventRecordID><Channel>{channel}</Channel><Computer>DC1.corp.example</Computer>"
        "</System></Event>"
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    make_keys(tmp_path)
    path = make_site(tmp_path, more=SINKS)
    (tmp_path / "subscriptions" / "two.toml").write_text(
        'name = "two"\n[[select]]\nchannel = "System"\n'
        '[[select]]\nchannel = "Security"\nquery = "*[System[EventID=1]]"\n'
    )
    (tmp_path / "subscriptions" / "off.toml").write_text(
        'name = "off"\nenabled = false\n[[select]]\nchannel = "Security"\n'
    )
    return path


def match(capsys: pytest.CaptureFixture[str], site: Path, content: str, *arguments: object) -> Ended:
    file = site.parent / "event.xml"
    file.write_text(content)
    return wef(capsys, "match", "--config", site, file, *arguments)


def test_each_sink_says_whether_it_takes_the_event_by_which_term_and_where_to(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Contract: which sinks take it and why."""
    ended = match(capsys, site, event(), "--json")

    (row,) = ended.rows
    sinks = {sink["sink"]: sink for sink in row["sinks"]}
    assert (ended.code, row["taken"]) == (0, True)
    assert {name: sink["takes"] for name, sink in sinks.items()} == {
        "archive": True, "logons": True, "tenth": False, "quiet": False,
    }  # fmt: skip
    assert sinks["archive"]["reasons"] == ["no match table: takes everything"]
    assert sinks["logons"]["reasons"] == [
        'match.channel: "Security" fits "Sec*"', 'match.event_id: 4624 is in "4620-4630"',
    ]  # fmt: skip
    assert sinks["tenth"]["reasons"] == ["sample: its id falls outside the 0.01 %"]
    assert sinks["quiet"]["reasons"] == ["exclude.event_id: 4624 is in 4624"]
    assert sinks["archive"]["destination"] == {
        "file": str(site.parent / "archive/one/DC1.corp.example/Security.jsonl"),
    }  # fmt: skip
    assert sinks["archive"]["dropped"] == ["winlog.provider_name"]


def test_enabled_subscriptions_say_whether_they_select_it(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An event that nobody asked Windows for never comes, whatever the sinks would take."""
    (row,) = match(capsys, site, event(code=2), "--json").rows

    assert [(entry["subscription"], entry["selects"]) for entry in row["subscriptions"]] == [
        ("one", True),
        ("two", False),
    ]
    assert row["subscription"] == "one"


def test_people_read_the_same_as_sentences(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Most of the time a person asks."""
    said = match(capsys, site, event(), "--source", "dc1").out

    assert 'as if source "dc1" sent it through subscription "one"' in said
    assert "subscription two: does not select it" in said
    assert "sink quiet (null): leaves it\n      exclude.event_id: 4624 is in 4624\n" in said
    assert "without winlog.provider_name" in said


def test_source_and_subscription_are_what_terms_about_them_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both come with the connection and stand in no event file."""
    make_keys(tmp_path)
    site = make_site(
        tmp_path, more='[sinks.dcs]\ntype = "null"\nmatch = { source = "dc1$@corp.example", subscription = "one" }\n'
    )

    assert match(capsys, site, event()).code == 1
    assert match(capsys, site, event(), "--source", "DC1$@CORP.EXAMPLE").code == 0
    assert match(capsys, site, event("System"), "--source", "DC1$@CORP.EXAMPLE").code == 1
    assert match(capsys, site, event("System"), "--source", "DC1$@CORP.EXAMPLE", "--subscription", "one").code == 0


def test_an_event_that_no_sink_takes_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment pipeline asks for the exit code; one such event of several is enough."""
    make_keys(tmp_path)
    site = make_site(tmp_path, more=ONLY_SYSTEM)

    ended = match(capsys, site, event("System") + event("Security"))

    assert ended.code == 1
    assert "No sink takes it" in ended.out
    assert match(capsys, site, event("System")).code == 0


def test_events_come_as_json_lines_and_gzipped_too(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `wef events search --format xml --json` and people's archives give them."""
    lines = "\n".join(json.dumps({"xml": event(record=number)}) for number in (1, 2))
    packed = site.parent / "events.gz"
    packed.write_bytes(gzip.compress(lines.encode()))

    assert [row["record_id"] for row in match(capsys, site, lines, "--json").rows] == ["1", "2"]
    assert len(wef(capsys, "match", "--config", site, packed, "--json").rows) == 2


@pytest.mark.parametrize("content", ["", "<html><body>no</body></html>", "no event", '{"xml": 5}'])
def test_what_holds_no_event_is_bad_input(site: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    """The wrong file must not look like an event that no sink takes."""
    ended = match(capsys, site, content)

    assert ended.code == 65
    assert "event.xml" in ended.err


def test_a_subscription_that_does_not_exist_is_a_usage_error(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error would answer for a subscription that no sink knows."""
    ended = match(capsys, site, event(), "--subscription", "on")

    assert ended.code == 64
    assert 'Did you mean "one"?' in ended.err


def test_hostile_names_cannot_drive_the_terminal(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Event files come from machines that may be in other hands."""
    said = match(capsys, site, event(channel="Sec&#x9b;31murity")).out

    assert "\x9b" not in said
    assert "\\x9b" in said


def test_the_topic_with_its_key_and_the_data_stream_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What to search for at the far end, without asking it."""
    make_keys(tmp_path)
    kafka = '[sinks.kafka]\ntype = "kafka"\nbrokers = ["127.0.0.1:9"]\ntopic = "w-{dataset}-{subscription}"\n'
    search = '[sinks.search]\ntype = "elasticsearch"\nhosts = ["http://127.0.0.1:9"]\nnamespaces = { one = "dcs" }\n'
    unkeyed = kafka.replace("sinks.kafka", "sinks.unkeyed") + 'key = "none"\n'
    site = make_site(tmp_path, more=f"{kafka}{search}{unkeyed}")

    (row,) = match(capsys, site, event(), "--json").rows

    assert {sink["sink"]: sink["destination"] for sink in row["sinks"]} == {
        "kafka": {"topic": "w-system.security-one", "key": "dc1.corp.example"},
        "search": {"data stream": "logs-system.security-dcs", "id": row["event_id"]},
        "unkeyed": {"topic": "w-system.security-one"},
    }
