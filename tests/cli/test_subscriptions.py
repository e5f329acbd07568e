"""``wef subscriptions``: what there is, and what exactly sources are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.model import Caller
from collector.store.base import Presence
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from collector.subscriptions.folder import load_folder
from collector.subscriptions.offers import make_offer
from tests.cli.running import wef
from tests.cli.site import NOW, make_keys, make_site


def test_the_list_has_the_columns_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 6; without any state nobody has come yet."""
    make_keys(tmp_path)

    (row,) = wef(capsys, "subscriptions", "list", "--config", make_site(tmp_path), "--json").rows

    assert list(row) == ["name", "id", "version", "revision", "enabled", "type", "sources"]
    assert (row["name"], row["revision"], row["enabled"], row["type"]) == ("one", "r1", True, "source-initiated")
    assert row["sources"] == 0


def test_the_version_is_the_one_that_sources_get(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise it could not be compared with what ``wef sources`` shows."""
    authority, path = make_keys(tmp_path), make_site(tmp_path)
    subscription = load_folder(tmp_path / "subscriptions", "r1").all[0]
    caller = Caller("pc", "pc", "pc", "certificate", "", issuer=authority.thumbprint.lower())
    url = f"https://wec.corp.example:5986/wsman/subscriptions/{subscription.id.upper()}"

    (row,) = wef(capsys, "subscriptions", "list", "--config", path, "--json").rows

    assert row["version"] == make_offer(subscription, caller, url, "https/mutual", None).version


def test_sources_are_counted_once_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the state, beside a running collector or without one."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    identifier = load_folder(tmp_path / "subscriptions", "r1").all[0].id

    async def fill() -> None:
        folder = StateFolder(tmp_path / "state")
        folder.create()
        store = SqliteStore.open(folder.database)
        await store.save_presences([
            Presence("PC1", "pc1", "10.0.0.1", identifier, NOW, NOW),
            Presence("PC2", "pc2", "10.0.0.2", identifier, NOW, NOW),
            Presence("PC2", "pc2", "10.0.0.2", "another", NOW, NOW),
        ])  # fmt: skip
        await store.close()

    asyncio.run(fill())

    assert wef(capsys, "subscriptions", "list", "--config", path, "--json").rows[0]["sources"] == 2


def test_show_tells_everything_about_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name in any case, or by id; the query in lines."""
    make_keys(tmp_path)
    path = make_site(tmp_path)

    people = wef(capsys, "subscriptions", "show", "ONE", "--config", path)
    (row,) = wef(capsys, "subscriptions", "show", "one", "--config", path, "--json").rows

    assert people.code == 0
    assert '    <Select Path="Security">*</Select>' in people.out.splitlines()
    assert "version at tls" in people.out
    assert row["query"].startswith("<QueryList>")
    assert row["versions"] == {"tls": row["version"]}
    assert wef(capsys, "subscriptions", "show", row["id"], "--config", path).code == 0


def test_a_name_that_is_not_there_is_answered_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1: the answer is no."""
    make_keys(tmp_path)

    ended = wef(capsys, "subscriptions", "show", "nix", "--config", make_site(tmp_path))

    assert ended.code == 1
    assert ended.err == "There is no subscription 'nix'. There are: one.\n"


def test_unreadable_keys_cost_the_version_and_not_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody without the rights of the service still wants to see the subscriptions."""
    ended = wef(capsys, "subscriptions", "list", "--config", make_site(tmp_path), "--json")

    assert ended.code == 0
    assert ended.rows[0]["version"] is None
    assert "client_ca" in ended.err


def test_broken_files_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78, as ``wef serve`` would."""
    make_keys(tmp_path)
    path = make_site(tmp_path)
    (tmp_path / "subscriptions" / "two.toml").write_text("")

    ended = wef(capsys, "subscriptions", "list", "--config", path)

    assert ended.code == 78
    assert "two.toml: at name: this key is missing and has no default." in ended.err
