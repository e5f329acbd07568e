"""``wef setup``: what it asks of its user, and how it ends. The far ends have their own tests beside their sinks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.cli.setup import applied
from collector.sinks.findings import Change, Finding, Found, Refused
from tests.cli.running import wef
from tests.end_to_end.stage import free_port

SEARCH = '[sinks.{name}]\ntype = "elasticsearch"\nhosts = ["http://127.0.0.1:{port}"]\nrequest_timeout = "2s"\n'


class ScriptedFarEnd:
    """Finds *rounds* one after the other, the last for ever; refuses changes of *stubborn* targets."""

    def __init__(self, *rounds: Sequence[Found], stubborn: Sequence[str] = ()) -> None:
        self._rounds, self._stubborn = list(rounds), stubborn
        self.performed: list[str] = []

    async def inspect(self) -> Sequence[Found]:
        return self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]

    async def perform(self, change: Change) -> None:
        self.performed.append(change.target)
        if change.target in self._stubborn:
            raise Refused("it will not")

    async def close(self) -> None:
        pass


def missing(name: str) -> Found:
    return Found(Finding("topic", name, "missing"), Change("CREATE", name))


def right(name: str) -> Found:
    return Found(Finding("topic", name, "right"))


async def test_what_one_change_uncovers_is_changed_as_well() -> None:
    """A template that is new shows which streams still have the old one; one run has to be enough."""
    far_end = ScriptedFarEnd([missing("a")], [right("a"), missing("b")], [right("a"), right("b")])
    found = await applied(far_end)

    assert far_end.performed == ["a", "b"]
    assert [one.finding.difference for one in found] == ["was missing; made", "was missing; made"]


async def test_what_is_refused_is_not_asked_for_again_and_the_rest_is_done() -> None:
    """One topic that the broker will not have must not keep eleven others away."""
    far_end = ScriptedFarEnd([missing("a"), missing("b")], [missing("a"), right("b")], stubborn=["a"])
    found = await applied(far_end)

    assert far_end.performed == ["a", "b"]
    assert [(one.finding.state, one.finding.difference) for one in found] == [
        ("missing", "it will not"),
        ("right", "was missing; made"),
    ]


async def test_changes_that_change_nothing_come_to_an_end() -> None:
    """A server that says yes and does nothing would be asked for ever."""
    far_end = ScriptedFarEnd([missing("a")])
    found = await applied(far_end)

    assert far_end.performed == ["a", "a", "a"]
    assert found[0].finding.state == "missing"


def write(folder: Path, *names: str) -> Path:
    path = folder / "collector.toml"
    path.write_text(
        "".join(SEARCH.format(name=name, port=free_port()) for name in names) or '[sinks.x]\ntype = "null"\n'
    )
    return path


def test_a_server_that_is_away_ends_with_69(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not 1: nobody knows whether something is missing."""
    ended = wef(capsys, "setup", "elasticsearch", "--config", write(tmp_path, "search"))

    assert ended.code == 69
    assert "sinks.search: http://127.0.0.1:" in ended.err


@pytest.mark.parametrize("kind", ["elasticsearch", "kafka"])
def test_settings_without_such_a_sink_end_with_78(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Saying that all is well would be true and useless."""
    (tmp_path / "subscriptions").mkdir()
    ended = wef(capsys, "setup", kind, "--config", write(tmp_path))

    assert ended.code == 78
    assert f'no sink of type "{kind}"' in ended.err


def test_a_sink_that_is_not_there_is_answered_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typing errors happen in names."""
    ended = wef(capsys, "setup", "elasticsearch", "--sink", "serch", "--config", write(tmp_path, "search", "other"))

    assert ended.code == 78
    assert 'Did you mean "search"?' in ended.err


def test_apply_and_dry_run_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes both believes that one of them wins; nobody should have to find out which."""
    ended = wef(capsys, "setup", "elasticsearch", "--apply", "--dry-run", "--config", write(tmp_path, "search"))

    assert ended.code == 64
