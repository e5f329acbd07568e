"""One folder, one collector, one layout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.errors import Backpressure, OperatorError
from collector.store.state_folder import StateFolder

CHILD = """
import sys
from pathlib import Path
from collector.store.state_folder import StateFolder
StateFolder(Path(sys.argv[1])).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Spools and letters hold other people's events."""
    folder = StateFolder(tmp_path / "deep" / "state")

    folder.create()
    folder.create()  # twice in a row does no harm

    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.free() > 0


def test_a_second_collector_is_told_who_has_the_folder(tmp_path: Path) -> None:
    """Two collectors on one state would each forget what the other acknowledged."""
    folder = StateFolder(tmp_path / "state")
    folder.create()
    command = [sys.executable, "-c", CHILD, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(OperatorError) as refusal:
            folder.lock()
        assert refusal.value.exit_code == 75
        assert f"process {child.pid}" in str(refusal.value)
        assert str(folder.path) in str(refusal.value)
        child.kill()

    folder.lock()  # the dead leave no lock behind

    assert (folder.path / "lock").read_text() == f"{os.getpid()}\n"
    folder.unlock()


def test_a_folder_of_a_newer_collector_is_refused_and_left_unlocked(tmp_path: Path) -> None:
    """Going back to an old version is a decision, not an accident."""
    folder = StateFolder(tmp_path)
    folder.create()
    (tmp_path / "version").write_text("7\n")

    with pytest.raises(OperatorError, match="version '7'") as refusal:
        folder.lock()
    assert refusal.value.exit_code == 78
    (tmp_path / "version").write_text("1\n")
    folder.lock()
    folder.unlock()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """The commonest first mistake is a path that is a file."""
    (tmp_path / "state").write_text("")

    with pytest.raises(OperatorError, match="cannot be created") as refusal:
        StateFolder(tmp_path / "state").create()
    assert refusal.value.exit_code == 73


@pytest.mark.parametrize("name", ["plain", "../up", "a/b", "..", "nul\0", "Größe"])
def test_no_name_of_a_sink_leads_out_of_the_spool_folder(tmp_path: Path, name: str) -> None:
    """Names come from a file that somebody else may have written."""
    path = StateFolder(tmp_path).spool(name)

    assert path.parent == tmp_path / "spool"
    assert path.resolve().parent == (tmp_path / "spool").resolve()


def test_a_folder_that_is_gone_has_no_number_of_free_bytes(tmp_path: Path) -> None:
    """An unmounted disk must stop the acknowledgements, and must not end the watch over the disk."""
    folder = StateFolder(tmp_path / "state")

    with pytest.raises(Backpressure, match="No such file"):
        folder.free()
