"""``wef check``: what would go wrong, said before it does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from collector.kernel import selection
from collector.simulate.authority import issue, make_authority
from tests.cli.running import Ended, wef
from tests.cli.site import HOST, NOW, make_keys, make_site


def check(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, list[str], list[str]]:
    """(exit code, problems, warnings)"""
    ended: Ended = wef(capsys, "check", "--config", path, "--json")
    found = ended.rows
    return (
        ended.code,
        [row["text"] for row in found if row["severity"] == "problem"],
        [row["text"] for row in found if row["severity"] == "warning"],
    )


def test_a_good_site_is_called_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written, and nothing is left to say."""
    make_keys(tmp_path)
    path = make_site(tmp_path)

    ended = wef(capsys, "check", "--config", path)

    assert (ended.code, ended.out) == (0, f"{path} is good: 1 listener, 1 sink, 1 subscription (1 enabled).\n")
    assert not (tmp_path / "state").exists()


def test_problems_of_the_settings_are_listed_with_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tone of the house, on stdout, and exit code 78."""
    path = make_site(tmp_path, more='[sinks.siem]\ntype = "events"\nmatch = { chanel = "x" }\nretention_age = "soon"')

    ended = wef(capsys, "check", "--config", path)

    assert ended.code == 78
    assert ended.out.splitlines()[0] == f"{path} has 2 problems."
    assert '  at sinks.siem.match.chanel: there is no such key. Did you mean "channel"?' in ended.out.splitlines()
    assert "  at sinks.siem.retention_age: 'soon' is no duration" in ended.out


def test_settings_that_are_nowhere_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78."""
    ended = wef(capsys, "check", "--config", tmp_path / "no.toml")

    assert ended.code == 78
    assert "is not there" in ended.err


@pytest.fixture
def _the_kernel_as_before() -> Iterator[None]:
    yield
    selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")


@pytest.mark.usefixtures("_the_kernel_as_before")
@pytest.mark.parametrize("kernel", ["pure", ""])
def test_sldc_for_the_pure_kernel_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    """It reads ten megabytes a second at best; better to know than to look for a slow disk."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    (tmp_path / "subscriptions" / "two.toml").write_text(
        'name = "two"\ncompression = "sldc"\n[[select]]\nchannel = "System"\n'
    )
    monkeypatch.setenv("WEF_KERNEL", kernel)

    code, _, warnings = check(capsys, path)

    assert code == 0
    assert ["two.toml" in text and "SLDC" in text for text in warnings] == [True] * (selection.active() == "pure")
    assert kernel == "" or warnings


@pytest.mark.parametrize(("topic", "warned"), [("windows-{computer}", True), ("windows-{dataset}", False)])
def test_a_topic_that_a_source_can_choose_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], topic: str, warned: bool
) -> None:
    """A forged name would hold the lane until somebody makes a topic for it; better to know before."""
    make_keys(tmp_path)
    path = make_site(tmp_path, more=f'[sinks.k]\ntype = "kafka"\nbrokers = ["127.0.0.1:9092"]\ntopic = "{topic}"')

    code, _, warnings = check(capsys, path)

    assert code == 0
    assert any("sinks.k.topic" in text and "{computer}" in text for text in warnings) is warned


def test_broken_subscriptions_and_missing_keys_are_found_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They stop the collector equally."""
    path = make_site(tmp_path)
    (tmp_path / "subscriptions" / "two.toml").write_text("nme = 'two'\n")

    code, problems, _ = check(capsys, path)

    assert code == 78
    assert any("two.toml line 1: at nme: there is no such key." in text for text in problems)
    assert any("server.pem" in text for text in problems)


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its key in the settings; one at a time would cost four rounds."""
    path = make_site(tmp_path, listener='crl = ["ca.crl"]')

    code, problems, _ = check(capsys, path)

    keys = ("certificate", "key", "client_ca", "crl")
    assert code == 78
    assert [text.partition(": ")[0] for text in problems] == [f"at listeners.tls.{key}" for key in keys]
    assert all("cannot be read: No such file or directory" in text for text in problems)


def test_the_place_that_named_missing_settings_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that somebody forgot in a profile is hard to find otherwise."""
    monkeypatch.setenv("WEF_CONFIG", str(tmp_path / "gone.toml"))

    assert "gone.toml ($WEF_CONFIG) is not there" in wef(capsys, "check").err
    assert "no.toml (--config) is not there" in wef(capsys, "check", "--config", tmp_path / "no.toml").err


def test_a_key_of_another_certificate_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The classic of every renewal."""
    authority = make_keys(tmp_path)
    (tmp_path / "server.key").write_bytes(issue(authority, [HOST], server=True, now=NOW).key_pem())

    code, problems, _ = check(capsys, make_site(tmp_path))

    assert code == 78
    assert "Both must be PEM, and belong together." in problems[0]


def test_an_expired_certificate_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No source would trust it, and no source could say so."""
    make_keys(tmp_path, age=timedelta(days=900))

    code, problems, _ = check(capsys, make_site(tmp_path))

    assert code == 78
    assert f"certificate {tmp_path / 'server.pem'} has expired on" in problems[0]


def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within a month; then there is time for a change window."""
    make_keys(tmp_path, age=timedelta(days=810))

    code, problems, warnings = check(capsys, make_site(tmp_path))

    assert (code, problems) == (0, [])
    assert "expires on" in warnings[0]


def test_a_certificate_for_another_name_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sources compare it with the name in the policy."""
    make_keys(tmp_path, names=("wec2.corp.example", "10.0.0.1"))

    _, _, warnings = check(capsys, make_site(tmp_path))

    assert f"is for wec2.corp.example, 10.0.0.1, not for hostname {HOST}" in warnings[0]


@pytest.mark.parametrize("name", ["*.corp.example", "WEC.corp.example"])
def test_wildcards_and_case_are_understood(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As TLS clients understand them."""
    make_keys(tmp_path, names=(name,))

    assert check(capsys, make_site(tmp_path)) == (0, [], [])


def test_a_key_that_everybody_may_read_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    make_keys(tmp_path)
    (tmp_path / "server.key").chmod(0o644)

    _, _, warnings = check(capsys, make_site(tmp_path))

    assert "can be read or written by others (mode 0644); chmod 640 or 600 it." in warnings[0]


def test_revocation_lists_must_cover_the_cas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CA without its list, once there are lists, refuses all of its sources."""
    make_keys(tmp_path)
    (tmp_path / "ca.pem").write_bytes(make_authority("Other CA", NOW).pem())

    code, problems, _ = check(capsys, make_site(tmp_path, listener='crl = ["ca.crl"]'))

    assert code == 78
    assert problems[0].startswith("crl: there is no revocation list of CN=Other CA")


def test_an_expired_revocation_list_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It refuses everybody, too."""
    make_keys(tmp_path, crl_age=timedelta(days=4000))

    code, problems, _ = check(capsys, make_site(tmp_path, listener='crl = ["ca.crl"]'))

    assert code == 78
    assert "crl: the list of CN=Test CA has expired on" in problems[0]


def test_events_that_no_sink_takes_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 1.1: they are acknowledged and gone."""
    make_keys(tmp_path)
    narrow = '[sinks.s]\ntype = "events"\nmatch = { channel = "Security" }\n'

    _, _, warnings = check(capsys, make_site(tmp_path, more=narrow))
    assert len(warnings) == 1
    assert "an event may be taken by none of them" in warnings[0]

    _, _, warnings = check(capsys, make_site(tmp_path, more=f'{narrow}[sinks.rest]\ntype = "null"\n'))
    assert warnings == []


def test_sinks_of_which_none_is_required_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The promise of the collector would be empty."""
    make_keys(tmp_path)

    _, _, warnings = check(capsys, make_site(tmp_path, more='[sinks.s]\ntype = "events"\nrequired = false\n'))

    assert "none is required" in warnings[0]


def test_without_a_listener_nobody_can_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file is valid and useless."""
    path = tmp_path / "collector.toml"
    path.write_text('min_free = "1KiB"')
    (tmp_path / "subscriptions").mkdir()

    code, problems, _ = check(capsys, path)

    assert code == 78
    said = "there is none, so no source can come; add [listeners.NAME], or a subscription of type pull."
    assert problems == [f"at listeners: {said}"]


@pytest.mark.parametrize(("address", "clash"), [("127.0.0.1", True), ("*", True), ("127.0.0.2", False)])
def test_two_listeners_on_one_port_are_found(
    tmp_path: Path, address: str, clash: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second would not start."""
    make_keys(tmp_path)
    more = f'[listeners.b]\ntransport = "https"\naddress = "{address}"\ncertificate = "server.pem"\n'
    more += 'key = "server.key"\nclient_ca = ["ca.pem"]\n'

    code, problems, _ = check(capsys, make_site(tmp_path, listener='address = "127.0.0.1"', more=more))

    assert (code, bool(problems)) == ((78, True) if clash else (0, False))
    if clash:
        assert problems == ["at listeners.b.port: listeners.tls listens on port 5986 already; give each its own."]


def test_too_little_room_for_the_state_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every batch would be refused, which is safe and not what was wanted."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    path.write_text(path.read_text().replace('"1KiB"', '"9000TiB"'))

    _, _, warnings = check(capsys, path)

    assert "every batch would be refused with 503" in warnings[0]


def test_a_state_that_is_a_file_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It must be a folder."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    (tmp_path / "state").write_text("")

    _, _, warnings = check(capsys, path)

    assert warnings == [f"at state: {tmp_path / 'state'} is a file; name a folder."]


def test_an_expired_subscription_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Samples on the web carry dates of 2018; sources will not subscribe to them."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    (tmp_path / "subscriptions" / "old.xml").write_text(
        "<Subscription><SubscriptionId>old</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>"
        "<Expires>2018-01-01T00:00:00.000Z</Expires>"
        '<Query>&lt;QueryList>&lt;Query Path="A">&lt;Select>*&lt;/Select>&lt;/Query>&lt;/QueryList></Query>'
        "</Subscription>"
    )

    _, _, warnings = check(capsys, path)

    assert any("it expired on 2018-01-01T00:00:00.000Z" in warning for warning in warnings)


def test_the_libraries_behind_kafka_and_elasticsearch_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "auto" takes what is installed, and five times the CPU is a reason to know which one it was."""
    make_keys(tmp_path)
    kafka, search = 'type = "kafka"\nbrokers = ["127.0.0.1:9092"]', 'type = "elasticsearch"\nhosts = ["http://a:1"]'
    more = f'[sinks.one]\n{kafka}\nengine = "kafka-python"\n[sinks.two]\n{search}\nproduct = "opensearch"\n'
    path = make_site(tmp_path, more=f"{more}[sinks.three]\n{search}\n")

    rows = [row for row in wef(capsys, "check", "--config", path, "--json").rows if row["severity"] == "note"]

    engines = {row["text"].split(":")[0]: row["text"].split()[-2] for row in rows}
    assert engines == {"sink one": "kafka-python", "sink two": "aiohttp", "sink three": "elasticsearch"}
    assert "sink one: engine kafka-python 3." in wef(capsys, "check", "--config", path).out
