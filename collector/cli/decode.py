"""``wef decode``: a captured body taken apart, layer by layer, as the collector would.

It reads one file and prints what it finds; it starts nothing and needs no settings.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from collector.auth.wrap_tokens import wrap_token
from collector.cli.output import json_option, print_json, printable
from collector.errors import OperatorError
from collector.wsman.bookmark import positions
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Delivery, EnumerateResponse, Fault, Identify, IdentifyResponse, Unsupported
from collector.wsman.payload import Payload, PayloadError, open_payload
from collector.wsman.reader import read_envelope
from collector.wsman.responses import read_response
from collector.wsman.sealing import HEAD, Frame, SealError, read_frame

BAD_DATA, INPUT_OUTPUT = 65, 74
LIMIT = 256 << 20
"""Plain bytes: far above any envelope that a collector takes, and what a workstation can hold."""
LINES, WIDTH = 5, 160
_SEALED = re.compile(rb"--[ \t]?([^\r\n]{1,70})\r\n[ \t]*Content-Type:[ \t]*([!-~]{1,100})[ \t]*\r\n", re.IGNORECASE)
"""The first two lines of a sealed body: a capture often lacks the header that names boundary and protocol."""


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--content-type", metavar="T", default="", help="The HTTP header, when it is known.")
@click.option("--content-encoding", metavar="E", default=None, help='The HTTP header. Default: guessed; "" for none.')
@json_option
def command(file: Path, content_type: str, content_encoding: str | None, as_json: bool) -> None:
    """Take a captured body apart: seal, compression, charset, header, events. FILE may be -.

    A sealed body is shown up to its seal: what is inside needs the key of its connection.
    """
    body = _read(file)
    sealed_as = content_type if content_type.lower().startswith("multipart/") else _guess_sealed(body)
    try:
        if sealed_as:
            layers = {"file": str(file), "size": len(body), **_sealed(read_frame(body, sealed_as))}
        else:
            encoding = _guess(body) if content_encoding is None else content_encoding
            payload = open_payload(body, content_type, encoding, LIMIT)
            layers = {"file": str(file), **_layers(body, payload), **_message(payload.text)}
    except (PayloadError, SealError, EnvelopeError) as error:
        raise OperatorError(f"{file}: {error}", exit_code=BAD_DATA) from None
    if as_json:
        print_json(layers)
        return
    for name, value in _flat(layers):
        click.echo(f"{name:<18} {printable(value)}")


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read()
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"{file}: {error.strerror}; a file that can be read is needed", exit_code=INPUT_OUTPUT
        ) from None


def _guess(body: bytes) -> str:
    """SLDC streams begin with Reset 1 or 2, 13 bits that no text begins with ([ECMA-321] 8.2.1)."""
    return "SLDC" if len(body) > 5 and body[0] == 0xFF and 0xA8 <= body[1] <= 0xB7 else ""


def _guess_sealed(body: bytes) -> str:
    """The Content-Type that a sealed body came with; "" when it is none."""
    found = _SEALED.match(body, 0, HEAD)
    if found is None:
        return ""
    boundary, protocol = (part.decode("latin-1") for part in found.groups())
    return f'multipart/encrypted;protocol="{protocol}";boundary="{boundary}"'


def _sealed(frame: Frame) -> dict[str, Any]:
    """Everything that can be known without the key."""
    return {
        "sealing": frame.style.protocol,
        "indent": "tab" if frame.style.indent else None,
        "blank": frame.style.blank,
        "inner_type": frame.inner_type,
        "announced_size": frame.length,
        "header_size": len(frame.header),
        "ciphertext_size": len(frame.sealed),
        "token": _said(wrap_token(bytes(frame.header))),
        "message": "sealed: the rest needs the session key of its connection",
    }


def _layers(body: bytes, payload: Payload) -> dict[str, Any]:
    return {
        "size": len(body),
        "compression": "sldc" if payload.compressed else None,
        "plain_size": int.from_bytes(body[-4:], "little") if payload.compressed else len(body),
        "charset": payload.charset,
        "bom": payload.bom,
        "characters": len(payload.text),
        "replaced": payload.text.count("\N{REPLACEMENT CHARACTER}"),
    }


def _message(text: str) -> dict[str, Any]:
    """What a source said, or what a collector answered."""
    if not text.strip():
        return {"message": None}
    try:
        message = read_envelope(text)
    except EnvelopeError as error:
        return _answer(text, error)
    if isinstance(message, Identify):
        return {"message": "Identify"}
    if isinstance(message, Unsupported):
        return _answer(text, None) or {"message": "Unsupported", "header": _said(message.header)}
    found: dict[str, Any] = {"message": type(message).__name__, "header": _said(message.header)}
    if isinstance(message, Delivery):
        found |= _delivery(message)
    else:
        found |= {
            field.name: getattr(message, field.name) for field in dataclasses.fields(message) if field.name != "header"
        }
    return found


def _answer(text: str, refused: EnvelopeError | None) -> dict[str, Any]:
    """The other side's messages; {} or the first refusal when it is none of those either."""
    try:
        answer = read_response(text)
    except EnvelopeError:
        if refused is not None:
            raise refused from None
        return {}
    found: dict[str, Any] = {"message": type(answer).__name__}
    if isinstance(answer, EnumerateResponse):
        found["offers"] = [_said(offer) for offer in answer.offers]
    elif isinstance(answer, Fault | IdentifyResponse):
        found |= _said(answer)
    return found


def _delivery(message: Delivery) -> dict[str, Any]:
    reached = positions(message.bookmark or "")
    return {
        "bookmark": message.bookmark,
        "positions": dict(reached.records),
        "backward": reached.backward,
        "dropped": message.dropped,
        "sliced": message.sliced,
        "events": len(message.pieces),
        "first": [piece.partition("\n")[0][:WIDTH] for piece in message.pieces[:LINES]],
    }


def _said(value: Any) -> dict[str, Any]:
    """The fields of a frozen value that hold something."""
    return {
        name: content
        for name in type(value).__match_args__  # a dataclass has them as well as a named tuple
        if (content := getattr(value, name)) not in ("", None, ())
    }


def _flat(layers: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, object]]:
    for name, value in layers.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        elif isinstance(value, list):
            for row, item in enumerate(value, 1):
                yield from _flat({f"{name}[{row}]": item}, within)
        else:
            yield within + name, value
