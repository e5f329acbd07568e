"""``wef version``: what a bug report begins with."""

from __future__ import annotations

import platform

import pytest

from collector import __version__
from collector.kernel import selection
from tests.cli.running import wef


def test_it_names_the_collector_python_kernel_and_engines(capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 6."""
    (row,) = wef(capsys, "version", "--json").rows

    assert row["version"] == __version__
    assert row["python"] == platform.python_version()
    assert (row["kernel"], row["kernel_reason"]) == (selection.active(), selection.reason())
    assert {
        "openssl",
        "sqlite",
        "lxml",
        "aiohttp",
        "elasticsearch",
        "kafka-python",
        "librdkafka",
        "gssapi",
        "krb5",
    } <= set(row["engines"])
    assert __version__ in wef(capsys, "version").out


def test_it_says_why_the_pure_kernel_works(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times slower is worth a reason: chosen, or not built."""
    with monkeypatch.context() as chosen:
        chosen.setenv("WEF_KERNEL", "pure")

        assert "kernel pure (chosen)\n" in wef(capsys, "version").out

    wef(capsys, "version")  # and the environment's own choice again, for the tests that follow
