"""Pauses grow, are bounded, and differ between collectors."""

from __future__ import annotations

from collector.routing.backoff import Backoff


def test_pauses_double_up_to_the_longest_and_begin_again_after_a_success() -> None:
    """A sink that is down for a night must not be asked ten times a second, nor found an hour late."""
    backoff = Backoff(1, 5, lambda: 0.0)

    assert [backoff.pause() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.pause() == 1


def test_chance_cuts_a_pause_by_at_most_half() -> None:
    """Several collectors must not ask a recovering cluster in step."""
    assert Backoff(4, 8, lambda: 0.5).pause() == 3
    assert Backoff(4, 8, lambda: 1.0).pause() == 2
    assert Backoff(9, 8, lambda: 0.0).pause() == 8
