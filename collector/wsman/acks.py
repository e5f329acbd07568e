"""Acks as bytes: of two, nothing differs but the MessageID and what it relates to, so the rest is spelled once.

``writer`` and ``payload`` say how an Ack looks; a test holds these equal to theirs. It knows no seal and no HTTP.
"""

from __future__ import annotations

import codecs
import re

from collector.wsman.messages import Ack
from collector.wsman.payload import MEDIA_TYPE
from collector.wsman.writer import write_envelope

_PLAIN = re.compile(r"[A-Za-z0-9:._-]{1,256}")
"""Ids that are written as they are; any other is left to the general way."""
_MESSAGE, _RELATED = "wef:message", "wef:related"
_HEAD, _REST = write_envelope(Ack(), message_id=_MESSAGE, relates_to=_RELATED).split(_MESSAGE)
_BETWEEN, _TAIL = _REST.split(_RELATED)
_UTF8, _UTF16 = f"{MEDIA_TYPE};charset=UTF-8", f"{MEDIA_TYPE};charset=UTF-16"


def ack(charset: str, message_id: str, relates_to: str | None) -> tuple[str, bytes] | None:
    """Content-Type and body of an Ack as it leaves the collector in clear; None: not spelled here.

    *charset* is that of the request (``Payload``), *relates_to* its MessageID.
    """
    if relates_to is None or not _PLAIN.fullmatch(relates_to):
        return None
    text = f"{_HEAD}{message_id}{_BETWEEN}{relates_to}{_TAIL}"
    match charset:
        case "utf-16le":
            return _UTF16, codecs.BOM_UTF16_LE + codecs.utf_16_le_encode(text)[0]
        case "utf-8":
            return _UTF8, text.encode()
        case _:
            return None
