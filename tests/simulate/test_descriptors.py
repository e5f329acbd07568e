"""The limit of open files, in a process of its own: a limit that was lowered cannot be raised again."""

from __future__ import annotations

import asyncio
import sys

from tests.simulate.scripted import Offering, ScriptedCollector, collecting

SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from collector.errors import OperatorError
from collector.simulate.descriptors import make_room
try:
    make_room(int(sys.argv[3]))
except OperatorError as error:
    print(error.exit_code, error)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


async def made_room(soft: int, hard: int, connections: int) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(soft), str(hard), str(connections)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode().strip()


async def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    """1024 is what a login shell gives; two thousand sources need two thousand connections."""
    assert await made_room(256, 512, 400) == "(512, 512)"


async def test_a_hard_limit_that_is_too_low_is_a_sentence_with_both_numbers_and_the_remedy() -> None:
    """Else a load test fails later in a thousand ways, none of which says why."""
    said = await made_room(256, 300, 400)

    assert said.startswith("78 This process may have 300 files open, and 400 connections need 464")
    assert "ulimit -Hn" in said


async def test_sources_with_more_subscriptions_than_there_is_room_for_end_with_the_same_sentence() -> None:
    """How many subscriptions there are is known only when a collector offers them."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); import collector.simulate.descriptors;"
        "collector.simulate.descriptors.SPARE = 0; from collector.cli.main import main; main()"
    )
    offerings = [Offering(f"{number:08}-1111-4111-8111-111111111111", f"ID{number}") for number in range(60)]
    async with collecting(ScriptedCollector(offerings)) as collector:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, "simulate", "--url", collector.url, "--sources", "1"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()

    assert process.returncode == 78
    assert b"This process may have 40 files open" in err
