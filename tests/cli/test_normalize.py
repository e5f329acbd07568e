"""``wef normalize`` from the outside (contract.md 6)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from collector.cli.main import main
from tests.normalize.samples import CLASSIC, event

SECOND = event(record="<EventRecordID>4712</EventRecordID>")


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Any], str]:
    """Exit code, the lines of standard output (JSON where they are), standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["normalize", *arguments])
    out, err = capfd.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, [json.loads(line) if line.startswith("{") else line for line in out.splitlines()], err


def codes(rows: list[Any]) -> list[str]:
    return [row.get("winlog", {}).get("record_id", row["event"]["kind"]) for row in rows]


def lines(*texts: str) -> bytes:
    return b"".join(json.dumps({"xml": text, "n": 1}).encode() + b"\n" for text in texts)


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_give_a_document_for_every_event_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], packed: bool
) -> None:
    """Also for several in one text, also for one that nobody can read."""
    content = lines(event(), SECOND + CLASSIC, "unreadable")
    file = tmp_path / "events"
    file.write_bytes(gzip.compress(content) if packed else content)
    code, rows, _ = run(capfd, str(file))

    assert code == 0
    assert codes(rows) == ["4711", "4712", "12", "pipeline_error"]
    assert all(len(row["wef"]["event_id"]) == 22 for row in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_xml_is_cut_after_each_event(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], encoding: str, wrapped: bool
) -> None:
    """As wevtutil and the event viewer export it, in either encoding and with either wrapper."""
    text = f"{event()}\n{SECOND}\r\n"
    file = tmp_path / "events.xml"
    file.write_bytes((f'<?xml version="1.0"?>\n<Events>\n{text}</Events>\n' if wrapped else text).encode(encoding))
    code, rows, _ = run(capfd, str(file))

    assert code == 0
    assert codes(rows) == ["4711", "4712"]


def test_exact_gives_the_bare_document(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events"
    file.write_bytes(lines(event()))
    _, rows, _ = run(capfd, "--exact", "--format", "winlogbeat", str(file))

    assert {"wef", "ecs"}.isdisjoint(rows[0])
    assert "created" not in rows[0]["event"]


def test_raw_gives_the_xml_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events"
    file.write_bytes(lines(event()))
    assert run(capfd, "--format", "raw", str(file))[1] == [event()]


def test_an_empty_file_is_no_mistake(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").write_bytes(b"\n \n")
    assert run(capfd, str(tmp_path / "none")) == (0, [], "")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello", "expected JSON lines"),
        (b'{"xml": 1}\n', "record 1"),
        (lines(event()) + b"oops\n", "record 2"),
        (lines(event()) + b"[" * 100_000, "record 2"),
        (gzip.compress(lines(event()) * 50)[:-20], "gzip stream is damaged"),
    ],
)
def test_input_of_another_kind_is_refused_with_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, sentence: str
) -> None:
    """Exit code 65: a script must notice that not everything was read."""
    file = tmp_path / "events"
    file.write_bytes(content)
    code, _, err = run(capfd, str(file))

    assert code == 65
    assert sentence in err
    assert str(file) in err


def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capfd, str(tmp_path / "missing"))

    assert code == 74
    assert "missing: No such file or directory." in err


@pytest.mark.parametrize("arguments", [("--format", "stored", "x"), ("--exact", "--format", "raw", "x"), ()])
def test_wrong_usage_is_told_apart(capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(capfd, *arguments)[0] == 64


def test_what_stands_between_two_events_belongs_to_neither(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """raw is the XML as it was received; a line end of the file would show as &#10; in front of it."""
    file = tmp_path / "events.xml"
    file.write_text(f"{event()}\n{SECOND}\n")

    code, rows, _ = run(capfd, "--format", "raw", str(file))

    assert (code, rows) == (0, [event(), SECOND])
