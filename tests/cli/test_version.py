"""``wef version``: what a bug report begins with."""

from __future__ import annotations

import platform

import pytest

from collector import __version__
from tests.cli.running import wef


def test_it_names_the_collector_python_kernel_and_engines(capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 6."""
    (row,) = wef(capsys, "version", "--json").rows

    assert row["version"] == __version__
    assert row["python"] == platform.python_version()
    assert row["kernel"] == "pure"
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
