"""What every test may ask for. Real data comes from a folder beside the clone, when it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector.kernel import selection

pytest_plugins = ["tests.servers.fixtures"]
REPOSITORY = Path(__file__).resolve().parent.parent
selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")  # as wef does; ./tests/run runs the tests both ways


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real messages and events; WEF_SHARED names it, else it lies beside the clone."""
    folder = Path(os.environ.get("WEF_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        absent(f"the real messages and events are not at {folder}; set WEF_SHARED to the folder that holds data/")
    return folder


def absent(sentence: str) -> None:
    """Skip a test or, at its top, a module with a sentence; under WEF_TEST_REQUIRE=all what is absent is a failure."""
    if os.environ.get("WEF_TEST_REQUIRE") == "all":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)
