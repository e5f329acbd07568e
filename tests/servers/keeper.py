"""Runs one server and takes it along when its owner dies: ``keeper.py FOLDER COMMAND...``, owner's pipe on stdin.

A process of its own, because nothing inside a test runner survives ``kill -9``, and the parent-death
signal follows threads, not processes, and stops at the first child: Elasticsearch is two processes.
The pipe closes in every case. It must not know which server it keeps; only the standard library,
because it starts with ``-I -S``.

Prints the pid of the command (which leads a process group of its own) on one line. Ends when the
command ends, with its exit code; what the command left in its group is killed then. FOLDER is removed
only when the owner vanished: otherwise it is the owner's.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress


def keep(folder: str, command: list[str]) -> int:
    """Run *command* to its end, or to the owner's; the exit code, negative for a signal."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, process_group=0)
    ended = os.pidfd_open(child.pid)
    print(child.pid, flush=True)

    seen = select.select([sys.stdin, ended], [], [])[0]

    # nobody has waited for the child yet, so its number, and its group's, cannot belong to anybody else
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    if ended not in seen:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    code = keep(sys.argv[1], sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
