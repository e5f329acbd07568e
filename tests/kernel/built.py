"""The compiled half of the kernel for the tests that hold it against the pure one."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

from tests.conftest import absent


def built(name: str) -> Any:
    """The compiled module *name* of the room, whatever is chosen; the test module skips where it is not there."""
    if os.environ.get("WEF_KERNEL") == "pure":
        pytest.skip("the pure kernel was chosen (WEF_KERNEL)", allow_module_level=True)
    try:
        return importlib.import_module(f"collector.kernel.{name}")
    except ImportError as error:
        absent(f"the compiled kernel is not there ({error}): apt install gcc python3-dev, then deploy/install tests")
