"""``wef simulate`` from outside: what it prints and how it exits."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.simulate.scripted import Offering, ScriptedCollector, collecting, event


async def simulate(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from collector.cli.main import main; main()",
        "simulate",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_verdict_is_one_json_object_and_the_exit_code_agrees(tmp_path: Path) -> None:
    """contract.md 6; scripts and the acceptance of this project read it."""
    file = tmp_path / "e.jsonl"
    file.write_text("".join(json.dumps({"xml": event("System", number)}) + "\n" for number in range(3)))
    async with collecting(ScriptedCollector()) as collector:
        code, out, err = await simulate(
            "--url", collector.url, "--events", str(file), "--compression", "SLDC", "--json"
        )

    verdict = json.loads(out)
    assert verdict.pop("seconds") >= 0
    assert verdict == {"ok": True, "sent": 3, "acknowledged": 3, "duplicates": 0, "refused": 0}
    assert (code, err) == (0, "")


async def test_a_run_that_did_not_go_well_exits_with_1_and_says_why() -> None:
    """The sentence is for the person, the code for the script."""
    script = ScriptedCollector([Offering(query="<QueryList></QueryList>")])
    async with collecting(script) as collector:
        code, out, err = await simulate("--url", collector.url, "--sources", "1", "--rate", "50", "--duration", "100ms")

    assert code == 1
    assert out.startswith("NOT ok")
    assert "nothing is selected" in err


async def test_wrong_usage_is_explained_and_exits_with_64() -> None:
    """One sentence, no traceback."""
    code, _, err = await simulate("--url", "http://127.0.0.1/", "--duration", "soon")

    assert code == 64
    assert "'soon' is no duration" in err
