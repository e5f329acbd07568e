"""``wef subscriptions import``: what can be read is imported, nothing is overwritten, nothing is half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector.subscriptions.folder import load_folder
from tests.cli.running import wef
from tests.subscriptions.test_importing import wecutil
from tests.subscriptions.test_openwec_file import HEAD

SDDL = "<AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)</AllowedSourceDomainComputers>"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A file of wecutil and one of OpenWEC."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.xml").write_bytes(wecutil("<LogFile>Own</LogFile>" + SDDL))
    (folder / "b.toml").write_text(HEAD)
    return folder


def test_every_real_file_but_the_broken_one_is_imported(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three sets of the internet; the collector starts with what the import made of each."""
    for number, files in (("palantir", 51), ("nsa", 20), ("mdecrevoisier", 25)):
        sources = sorted((shared_data / "subscriptions" / number).glob("*.xml"))
        ended = wef(capsys, "subscriptions", "import", *sources, "--to", tmp_path / number, "--json")
        broken = number == "mdecrevoisier"

        assert len(sources) == files
        assert ended.code == (65 if broken else 0)
        assert len(ended.rows) == len(load_folder(tmp_path / number, "r").all) == files - broken
        assert ("System-Center-Endpoint-Protection.xml line 29: in Query: " in ended.err) == broken


def test_both_kinds_go_into_the_folder_of_the_settings(
    tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is named after the subscription; rows say what was written and what was not."""
    (tmp_path / "collector.toml").write_text('[subscriptions]\npath = "subs"\n')

    ended = wef(capsys, "subscriptions", "import", inputs / "a.xml", inputs / "b.toml",
                "--config", tmp_path / "collector.toml", "--json")  # fmt: skip

    assert (ended.code, ended.err) == (0, "")
    assert ended.rows[0] == {
        "file": str(inputs / "a.xml"),
        "name": "logons",
        "written": str(tmp_path / "subs" / "logons.toml"),
        "notes": "Not carried over: LogFile Own.",
    }
    assert names(tmp_path / "subs") == ["ad.toml", "logons.toml"]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 73; somebody's audience may stand in the file that is there."""
    target = tmp_path / "subs"
    wef(capsys, "subscriptions", "import", inputs / "a.xml", "--to", target)
    mine = (target / "logons.toml").read_text() + "# mine\n"
    (target / "logons.toml").write_text(mine)

    ended = wef(capsys, "subscriptions", "import", inputs / "a.xml", inputs / "b.toml", "--to", target)

    assert ended.code == 73
    assert f"{target / 'logons.toml'} is there already; --force overwrites it." in ended.err
    assert (target / "logons.toml").read_text() == mine
    assert names(target) == ["ad.toml", "logons.toml"]  # the other one was imported

    forced = wef(capsys, "subscriptions", "import", inputs / "a.xml", "--to", target, "--force")

    assert forced.code == 0
    assert "# mine" not in (target / "logons.toml").read_text()


def test_two_files_of_one_name_never_become_one(
    tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even with --force: the first would be gone without a word."""
    (inputs / "c.xml").write_bytes(wecutil("<Description>another</Description>"))

    ended = wef(
        capsys, "subscriptions", "import", inputs / "a.xml", inputs / "c.xml", "--to", tmp_path / "s", "--force"
    )

    assert ended.code == 73
    assert f"{inputs / 'c.xml'}: {tmp_path / 's' / 'logons.toml'} was just made of {inputs / 'a.xml'}" in ended.err
    assert "another" not in (tmp_path / "s" / "logons.toml").read_text()


def test_an_xml_file_in_the_folder_itself_is_not_doubled(
    tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files of one subscription, and no collector would start with that folder."""
    ended = wef(capsys, "subscriptions", "import", inputs / "a.xml", "--to", inputs, "--force")

    assert ended.code == 73
    assert "a.xml has the same name or id (logons) already; move that away first." in ended.err
    assert names(inputs) == ["a.xml", "b.toml"]


def test_what_cannot_be_read_or_written_is_a_sentence(
    tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And takes nothing else with it."""
    missing = wef(capsys, "subscriptions", "import", inputs / "no.xml", inputs / "a.xml", "--to", tmp_path / "s")
    (tmp_path / "file").write_text("")
    blocked = wef(capsys, "subscriptions", "import", inputs / "a.xml", "--to", tmp_path / "file")

    assert (missing.code, names(tmp_path / "s")) == (65, ["logons.toml"])
    assert "no.xml: the file cannot be read: No such file or directory." in missing.err
    assert (blocked.code, "cannot be used" in blocked.err) == (73, True)


def test_no_draft_stays_behind(tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A draft that a kill left is no hindrance either."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".logons.toml.new").write_text("half")

    wef(capsys, "subscriptions", "import", inputs / "a.xml", "--to", tmp_path / "s")

    assert names(tmp_path / "s") == ["logons.toml"]
    assert os.stat(tmp_path / "s" / "logons.toml").st_nlink == 1  # noqa: PTH116 - the number of names is the point
