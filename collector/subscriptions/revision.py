"""Under which revision events are collected: what the operator says, else git, else the file itself.

The revision travels in every event, so that people can tell which query an event came
through. It is never part of the version (contract.md 2): a new commit alone must not make
ten thousand sources subscribe again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PATIENCE = 5.0
"""Seconds that git may take; it needs milliseconds, unless the folder lies on a network that is gone."""
DIGITS = 16
"""Hex digits of a file's SHA-256 that are kept: enough to tell revisions of one file apart."""


def revision_of_folder(folder: Path) -> str | None:
    """The commit that is checked out in *folder*, with ``-dirty`` when its files differ from it.

    None when git is not installed, the folder is in no repository, its repository belongs to
    somebody git does not trust, or none of its files is tracked.
    """
    git = shutil.which("git")
    if git is None or not _git(git, folder, "ls-files", "--", "."):
        return None
    commit = _git(git, folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(git, folder, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if changes is None or changes else commit


def revision_of_file(content: bytes) -> str:
    """A hash of the file."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _git(git: str, folder: Path, *arguments: str) -> str | None:
    """What git prints, trimmed; None when it refuses or takes too long. It never writes and never asks."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell, the program found on PATH by its full name
            [git, "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/nonexistent")},
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()
