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
from collector.wsman.sealing import KERBEROS, SealStyle, sealed_body
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


AES = bytes.fromhex("050406ff0000001c000000000fece2a8f629bb3f3c1bf9dfb3bc040b5f0cb9e637f383ce") + bytes(24)
"""How the header of a captured message begins (protocol.md 3.8)."""


class Captured:
    """A seal of which only the header matters."""

    protocol = KERBEROS

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        return AES, plain, 0

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        raise AssertionError("nobody has the key of a capture")


@pytest.mark.parametrize("options", [(), ("--content-type", "multipart")])
def test_a_sealed_body_is_shown_up_to_its_seal(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Framing, token and number are what interoperation is debugged with; no header is needed."""
    content_type, body = sealed_body(Captured(), b"ciphertext", "UTF-16", SealStyle(KERBEROS, "\t"))
    file = tmp_path / "body"
    file.write_bytes(body)

    found = json.loads(decoded(file, "--json", *(options and ("--content-type", content_type))))

    assert (found["size"], found["sealing"], found["indent"], found["blank"]) == (len(body), KERBEROS, "tab", False)
    assert (found["announced_size"], found["header_size"], found["ciphertext_size"]) == (10, 60, 10)
    assert found["inner_type"] == "application/soap+xml;charset=UTF-16"
    assert found["token"] == {
        "kind": "AES", "sequence": 267182760, "sealed": True, "by_acceptor": False, "acceptor_subkey": True,
        "extra": 0, "rotation": 28,
    }  # fmt: skip
    assert found["message"].startswith("sealed")


def test_a_sealed_body_that_is_cut_says_so(tmp_path: Path) -> None:
    """Captures often are."""
    file = tmp_path / "body"
    file.write_bytes(sealed_body(Captured(), b"ciphertext", "UTF-16", SealStyle(KERBEROS))[1][:-30])

    with pytest.raises(OperatorError, match="is cut") as error:
        decoded(file)
    assert error.value.exit_code == 65
