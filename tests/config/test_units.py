"""Sizes and durations: what people write is what the collector does."""

from __future__ import annotations

import pytest

from collector.config.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "size"),
    [("4GiB", 4 * 2**30), ("512KiB", 512 * 1024), ("1.5MiB", 1572864), ("10MB", 10_000_000), ("7", 7), (7, 7), (0, 0)],
)
def test_a_size_is_bytes(written: object, size: int) -> None:
    """A spool of the wrong size fills the disk, or refuses sources too early."""
    assert parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("30s", 30.0), ("15m", 900.0), ("12h", 43200.0), ("30d", 2592000.0)]
)
def test_a_duration_is_seconds(written: str, seconds: float) -> None:
    """Thirty days read as thirty seconds would delete the evidence."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "4 gigs", "-1KiB", "GiB", "1e9", True, None, [], -4])
def test_a_size_that_means_nothing_is_refused_with_an_example(written: object) -> None:
    """Nobody should have to guess the spelling."""
    with pytest.raises(ValueError, match="4GiB"):
        parse_size(written)


@pytest.mark.parametrize("written", ["", "30", 30, "1w", "-5s", "5 minutes", None, True])
def test_a_duration_without_a_unit_is_refused_with_an_example(written: object) -> None:
    """Thirty what?"""
    with pytest.raises(ValueError, match="30s"):
        parse_duration(written)
