"""Log lines are rationed, what was left out is counted, and no secret is in them."""

from __future__ import annotations

import io
from typing import Any

import pytest
import structlog

from collector.clock import ManualClock
from collector.telemetry import Ration, configure


def test_a_flood_of_one_kind_of_line_is_cut_and_counted() -> None:
    """Ten thousand refusals a second from a stranger must not fill the disk that the spool needs."""
    clock = ManualClock()
    ration = Ration(most=3, seconds=10, clock=clock)
    passed = 0
    for _ in range(100):
        try:
            ration(None, "warning", {"event": "refused"})
        except structlog.DropEvent:
            continue
        passed += 1

    assert passed == 3
    clock.advance(10)
    line: Any = ration(None, "warning", {"event": "refused"})
    assert line["suppressed_before"] == 97


def test_other_lines_are_not_held_up_by_a_flood() -> None:
    """The one line that matters comes in the middle of it."""
    ration = Ration(most=1, seconds=10, clock=ManualClock())
    ration(None, "warning", {"event": "refused"})
    with pytest.raises(structlog.DropEvent):
        ration(None, "warning", {"event": "refused"})

    assert ration(None, "error", {"event": "state trouble"})["event"] == "state trouble"


def test_a_traceback_shows_no_variables() -> None:
    """Tokens, keys and whole batches are among them; the console's own formatter prints them all."""
    stream, ticket = io.StringIO(), "YII" + "secret"
    try:
        configure("info", "console", stream)
        try:
            raise KeyError(len(ticket))
        except KeyError:
            structlog.get_logger().error("own fault", exc_info=True)
    finally:
        structlog.reset_defaults()

    assert "KeyError" in stream.getvalue()
    assert ticket not in stream.getvalue()
