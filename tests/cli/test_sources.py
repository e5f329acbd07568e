"""``wef sources``: who is there, and why somebody is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.evidence.presence import Presences
from collector.model import Caller
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from collector.subscriptions.folder import load_folder
from tests.cli.running import wef
from tests.cli.site import NOW, make_keys, make_site


def test_a_source_that_never_answered_is_listed_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whom we call is known before anything came from it; the machine that is missing is the one to look at."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    identifier = load_folder(tmp_path / "subscriptions", "r1").all[0].id
    presences = Presences()
    source = Caller("pc01.corp.example", "pc01.corp.example", "", "pull", "")
    presences.missed(source, identifier, NOW, "refused: http://pc01.corp.example:5985/wsman: nobody listens there")

    async def fill() -> None:
        folder = StateFolder(tmp_path / "state")
        folder.create()
        store = SqliteStore.open(folder.database)
        await store.save_presences(presences.changed())
        await store.close()

    asyncio.run(fill())

    (row,) = wef(capsys, "sources", "list", "--config", path, "--json").rows
    assert (row["source"], row["subscription"], row["state"], row["events"]) == (
        "pc01.corp.example",
        "one",
        "silent",
        0,
    )
    assert row["last_event"] is None
    assert row["last_refusal"].endswith("Z refused: http://pc01.corp.example:5985/wsman: nobody listens there")
