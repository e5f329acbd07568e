"""What ``wef demo`` makes of its options and of what it finds; the demo itself is in tests/end_to_end."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import replace

import pytest

from collector.cli.demo import SETTINGS, Played, Servers
from collector.cli.far_ends import Discovery
from collector.simulate.ledger import Verdict
from tests.cli.running import wef

GOOD = Verdict(ok=True, sent=10, acknowledged=10, duplicates=0, refused=0, seconds=1.5)


def found(number: int) -> Discovery:
    return Discovery(Counter({"somewhere": number}))


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--kafka", "localhost", "write HOST:PORT"),
        ("--kafka", "a:1,", "write HOST:PORT"),
        ("--kafka", "http://a:9092", "write HOST:PORT"),
        ("--elasticsearch", "127.0.0.1:9200", "write for example http://127.0.0.1:9200"),
        ("--elasticsearch", "ftp://a/", "write for example http://127.0.0.1:9200"),
        ("--kafka-engine", "best", "'auto', 'kafka-python', 'librdkafka'"),
    ],
)
def test_an_address_that_is_none_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], option: str, value: str, sentence: str
) -> None:
    """Found before a folder is made and certificates are issued."""
    ended = wef(capsys, "demo", option, value)

    assert ended.code == 64
    assert sentence in ended.err


def test_a_password_in_the_address_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments are seen by everybody who can list processes, and would be written into the settings."""
    ended = wef(capsys, "demo", "--elasticsearch", "https://elastic:s3cret@127.0.0.1:9200")

    assert ended.code == 64
    assert "api_key" in ended.err
    assert "s3cret" not in ended.err + ended.out


def test_servers_become_sinks_of_the_settings() -> None:
    """wef serve runs the same settings afterwards."""
    servers = Servers(("127.0.0.1:9092", "[::1]:9093"), "librdkafka", "http://127.0.0.1:9200")

    written = tomllib.loads(
        SETTINGS.format(mark="# x", name="demo", port=1, monitoring=2, ends=servers.as_settings())
    )  # fmt: skip

    assert written["sinks"] == {
        "events": {"type": "events"},
        "kafka": {"type": "kafka", "brokers": ["127.0.0.1:9092", "[::1]:9093"], "engine": "librdkafka"},
        "elasticsearch": {"type": "elasticsearch", "hosts": ["http://127.0.0.1:9200"]},
    }
    assert not Servers()
    assert Servers().as_settings() == ""


def test_the_verdict_is_good_only_when_every_server_has_every_event() -> None:
    """One that is missing is the whole point."""
    everywhere = {"kafka": found(10), "elasticsearch": found(10)}

    assert Played(GOOD, 10, False, everywhere).ok
    assert not Played(GOOD, 10, False, everywhere | {"kafka": found(9)}).ok
    assert not Played(GOOD, 10, False, everywhere | {"elasticsearch": found(11)}).ok
    assert not Played(GOOD, 9, False, everywhere).ok
    assert not Played(replace(GOOD, ok=False), 10, False, everywhere).ok
    assert Played(replace(GOOD, ok=False), 10, True, everywhere).ok  # Ctrl-C, and all that was sent is there


def test_what_is_found_comes_after_the_keys_of_the_contract() -> None:
    """Programs read the last line."""
    row = Played(GOOD, 10, False, {"kafka": found(10)}).as_row()

    assert list(row) == ["ok", "sent", "acknowledged", "stored", "duplicates", "refused", "seconds", "kafka"]
    assert row["kafka"] == 10
    assert list(Played(GOOD, 10, False).as_row())[-1] == "seconds"
