"""``wef pull test``: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.running import Ended, wef
from tests.end_to_end.stage import free_port
from tests.simulate.caller import standing

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""


@pytest.fixture(autouse=True)
def _no_settings_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEF_CONFIG", raising=False)


async def beside(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    return await asyncio.to_thread(wef, capsys, "pull", "test", *arguments, "--mechanism", "none", "--seconds", "0.1")


async def test_people_see_steps_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a step as soon as it is made; of very many events the first ones."""
    async with standing() as stand:
        stand.happen(30)
        ended = await beside(capsys, stand.url, "--channel", "System", "--existing")

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("ok       name: 127.0.0.1")
    assert "ok       pull: 30 events in 0.1 s" in ended.out
    assert sum("System" in line and line.startswith("     ") for line in lines) == 20
    assert lines[-1] == "ok       unsubscribe: the machine has forgotten us"


async def test_programs_get_an_object_a_step_and_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Every event."""
    async with standing() as stand:
        stand.happen(30, "Security")
        ended = await beside(capsys, stand.url, "--existing", "--json")

    steps = [row["step"] for row in ended.rows]
    assert steps.count("event") == 30
    assert [step for step in steps if step != "event"][-3:] == ["subscribe", "pull", "unsubscribe"]
    assert {row["severity"] for row in ended.rows if row["step"] != "event"} == {"ok"}
    assert next(row for row in ended.rows if row["step"] == "event")["channel"] == "Security"


@pytest.mark.parametrize(("mood", "code"), [("subscribe:locked", 77), ("subscribe:channel", 1), ("subscribe:cut", 69)])
async def test_the_exit_code_says_whose_turn_it_is(capsys: pytest.CaptureFixture[str], mood: str, code: int) -> None:
    """contract.md 6: scripts try a hundred machines and sort them by it."""
    async with standing(mood) as stand:
        ended = await beside(capsys, stand.url)

    assert ended.code == code
    assert "problem  subscribe: " in ended.out
    assert "         -> " in ended.out


async def test_a_subscription_of_the_settings_is_tried_without_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its query and its delivery; under a name of its own, so that the one that runs keeps its place at the source."""
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "subscriptions" / "logons.toml").write_text(
        'name = "logons"\ntype = "pull"\nsources = ["pc01"]\ncredentials = "lab"\n[[select]]\nchannel = "System"\n'
    )
    path = tmp_path / "collector.toml"
    path.write_text('[monitoring]\nport = 0\n[credentials.lab]\nmechanism = "none"\n')
    async with standing() as stand:
        stand.happen(2)
        stand.happen(2, "Security")
        ended = await beside(capsys, stand.url, "--subscription", "logons", "--existing", "--json", "--config", path)
        (account,) = stand.host.accounts

    assert sum(row["step"] == "event" for row in ended.rows) == 2
    assert account.endswith("wef-pull-test")
    unknown = await beside(capsys, "pc01", "--subscription", "other", "--config", path)
    assert (unknown.code, "there are: logons." in unknown.err) == (64, True)


def test_nobody_there_is_69(capsys: pytest.CaptureFixture[str]) -> None:
    """And a query that is none is usage, before anybody is called."""
    nobody = wef(capsys, "pull", "test", f"127.0.0.1:{free_port()}", "--mechanism", "none")
    query = wef(capsys, "pull", "test", "pc01", "--mechanism", "none", "--query", "*[", "--channel", "System")

    assert nobody.code == 69
    assert query.code == 64
    assert "--query" in query.err
