"""Templates of paths, topics and data streams are read by one rule."""

from __future__ import annotations

import pytest

from collector.sinks.placeholders import placeholders


def test_plain_names_are_found_in_their_order() -> None:
    """A doubled brace is a brace, no placeholder."""
    assert placeholders("{a}/{b}-{{c}}-{a}", ("a", "b")) == ["a", "b", "a"]


@pytest.mark.parametrize("text", ["{c}", "{a!r}", "{a:>9}", "{a.__class__}", "{a[0]}", "{}", "{a", "a}"])
def test_anything_cleverer_is_refused(text: str) -> None:
    """``{a.__class__}`` would reach into the program, and a brace that does not close hides a mistake."""
    with pytest.raises(ValueError, match="placeholder"):
        placeholders(text, ("a",))
