"""Which kernel works, and what is said about it."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.kernel import selection, sldc
from tests.conftest import REPOSITORY, absent

ROOM = REPOSITORY / "collector" / "kernel"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")


def test_the_compiled_kernel_is_there_and_no_older_than_its_source() -> None:
    """Else every other test would judge a kernel that nobody ships, or none."""
    selection.choose(pure=False)
    if selection.active() != "compiled":
        absent(f"{selection.reason()}: apt install gcc python3-dev, then deploy/install tests")
    for name in selection.MODULES:
        module = importlib.import_module(f"collector.kernel.{name}")
        source = ROOM / f"{name}.pyx"
        included = re.findall(r'^include "(\w+\.pxi)"', source.read_text(), re.MULTILINE)
        newest = max(path.stat().st_mtime for path in [source, *(ROOM / part for part in included)])
        assert Path(str(module.__file__)).stat().st_mtime >= newest, f"{name}: deploy/install tests builds it again"


def test_whoever_chooses_the_pure_kernel_has_it() -> None:
    """WEF_KERNEL=pure is what a bug report is asked to try."""
    selection.choose(pure=True)

    assert selection.active() == "pure"
    assert selection.reason() == "chosen"
    assert selection.sldc() is None
    assert selection.events() is None
    assert sldc.decode(sldc.encode(b"as before"), 9) == b"as before"


def test_the_choice_may_be_taken_back() -> None:
    """Tests and benchmarks compare both in one run."""
    selection.choose(pure=True)
    selection.choose(pure=False)

    assert (selection.active() == "compiled") == (selection.reason() == "")


def test_a_kernel_that_was_not_built_is_named_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one half alone is not used: the two belong to one build."""
    monkeypatch.setattr(selection, "MODULES", ("_sldc", "_nowhere"))
    monkeypatch.setattr(selection, "_CHOICE", selection._Choice())

    assert selection.active() == "pure"
    assert selection.sldc() is None
    assert selection.reason().startswith("the compiled one was not built: No module named 'collector.kernel._")
