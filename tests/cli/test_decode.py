"""``wef decode``: a captured body explains itself, or a sentence says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli.decode import command
from collector.errors import OperatorError
from collector.kernel import sldc
from collector.wsman.messages import Ack
from collector.wsman.requests import Speaker, Target, write_events
from collector.wsman.writer import write_envelope

EVENTS = ["<Event>one</Event>", "<Event>two\x1b[2J</Event>"]
BOOKMARK = '<BookmarkList><Bookmark Channel="System" RecordId="9" IsCurrent="true"/></BookmarkList>'
BATCH = write_events(Speaker("pc01"), Target("http://wec/", "SUB"), EVENTS, BOOKMARK, message_id="uuid:1")


def decoded(file: Path, *options: str) -> str:
    return CliRunner().invoke(command, [str(file), *options], catch_exceptions=False).stdout


def test_every_layer_of_a_compressed_batch_is_named(tmp_path: Path) -> None:
    """No headers are needed: a capture often lacks them."""
    body = sldc.encode(b"\xff\xfe" + BATCH.encode("utf-16-le"))
    file = tmp_path / "body"
    file.write_bytes(body)

    found = json.loads(decoded(file, "--json"))

    assert (found["size"], found["compression"], found["plain_size"]) == (len(body), "sldc", 2 + 2 * len(BATCH))
    assert (found["charset"], found["bom"], found["message"]) == ("utf-16le", True, "Delivery")
    assert (found["events"], found["first"], found["sliced"]) == (2, EVENTS, True)
    assert found["positions"] == {"System": 9}
    assert found["header"]["identifier"] == "SUB"


def test_a_captured_body_cannot_drive_the_terminal(tmp_path: Path) -> None:
    """It was written by whoever sent it."""
    file = tmp_path / "body"
    file.write_text(BATCH)

    shown = decoded(file)

    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown
    assert "events" in shown


def test_an_answer_is_understood_too(tmp_path: Path) -> None:
    """Captures have two directions."""
    file = tmp_path / "body"
    file.write_text(write_envelope(Ack(), message_id="uuid:2", relates_to="uuid:1"))

    assert json.loads(decoded(file, "--json"))["message"] == "Ack"


@pytest.mark.parametrize(
    ("body", "options", "sentence"),
    [
        (b"\xff\xac\x01\x02\x03\x04\x05\x06", (), "says SLDC"),
        (b"no xml at all", (), "no SOAP 1.2 envelope"),
        (b"<a/>", ("--content-encoding", "gzip"), "only SLDC"),
        (b"<a/>", ("--content-type", "text/xml; charset=latin1"), "latin1"),
    ],
)
def test_bad_input_ends_with_65_and_a_sentence(
    tmp_path: Path, body: bytes, options: tuple[str, ...], sentence: str
) -> None:
    """The file is named, what is wrong, and what would be right."""
    file = tmp_path / "body"
    file.write_bytes(body)

    with pytest.raises(OperatorError, match=sentence) as error:
        decoded(file, *options)
    assert error.value.exit_code == 65
    assert str(file) in str(error.value)


def test_a_file_that_is_not_there_ends_with_74(tmp_path: Path) -> None:
    """Input and output, not bad data."""
    with pytest.raises(OperatorError) as error:
        decoded(tmp_path / "absent")
    assert error.value.exit_code == 74
