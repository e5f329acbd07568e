"""xs:duration: deadlines hang on it."""

from __future__ import annotations

import pytest

from collector.wsman.duration import duration, seconds


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("PT60.000S", 60.0),
        ("PT0.500S", 0.5),
        ("PT60.0S", 60.0),
        ("PT1H", 3600.0),
        ("PT1H2M3.5S", 3723.5),
        ("P1D", 86400.0),
        ("P1DT1M", 86460.0),
        ("P1Y1M", 34128000.0),
        ("PT0S", 0.0),
    ],
)
def test_durations_are_read(text: str, amount: float) -> None:
    """Every form that has been seen, and the ones the type allows."""
    assert seconds(text) == amount


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "PT-1S", "-PT1S", "60", "PT1S ", "pt1s", "PT٣S", "PT1.S", "PT9999999999S"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    """Negative ones too: Windows faults them."""
    assert seconds(text) is None


def test_what_is_written_is_read() -> None:
    """In the spelling of Windows."""
    assert duration(60) == "PT60.000S"
    assert seconds(duration(0.5)) == 0.5
