"""The tables that come as TOML."""

from __future__ import annotations

import pytest

from collector.normalize import Options, Rules, default_rules, harvest
from tests.normalize.samples import batch, event

TASKS = b"[P]\n7 = 'seven'\n"
ACCOUNTS = b"[account]\nS-1-9 = ['nine', 'D', 'User']\n[family]\nS-1-8- = ['e-{rest}', '', 'Alias']\n"
CHANNELS = b"channels = ['My/Log']\n"


def test_rules_of_ones_own_replace_those_that_are_shipped() -> None:
    """Rules are data: a site with its own providers needs no other code."""
    rules = Rules.parse(TASKS, ACCOUNTS, CHANNELS)
    text = (
        event(provider="P", channel="MY/LOG")
        .replace("12544", "7")
        .replace("<Security/>", "<Security UserID='S-1-8-42'/>")
    )
    winlog = harvest(batch(text), Options(rules=rules)).fields()[0]["winlog"]

    assert (winlog["task"], winlog["channel"]) == ("seven", "My/Log")
    assert winlog["user"] == {"identifier": "S-1-8-42", "name": "e-42", "type": "Alias"}


@pytest.mark.parametrize(
    "tables",
    [
        (b"P = 1", ACCOUNTS, CHANNELS),
        (b"[P]\nseven = 's'", ACCOUNTS, CHANNELS),
        (TASKS, b"[account]", CHANNELS),
        (TASKS, b"[account]\na = ['x']\n[family]", CHANNELS),
        (TASKS, ACCOUNTS, b"channel = []"),
        (TASKS, ACCOUNTS, b"not toml"),
        (b"\xff", ACCOUNTS, CHANNELS),
    ],
)
def test_a_table_of_another_shape_is_refused(tables: tuple[bytes, bytes, bytes]) -> None:
    """At start, with one exception type; never later, in the middle of a batch."""
    with pytest.raises(ValueError, match=r"."):
        Rules.parse(*tables)


def test_the_shipped_tables_are_read_once_and_hold_what_rules_match_on() -> None:
    """Three of Elastic's rules match on task names."""
    rules = default_rules()

    assert rules is default_rules()
    assert rules.task("Microsoft-Windows-Eventlog", 104) == "Log clear"
    assert rules.task("Microsoft-Windows-Security-Auditing", 13317) == "Token Right Adjusted Events"
    assert rules.task("Microsoft-Windows-Sysmon", 1).startswith("Process Create")
    assert rules.channel("WINDOWS POWERSHELL") == "Windows PowerShell"
