"""Answers as text: the byte order mark wins, then the charset, then UTF-8 ([DSP0226] R13.1-5 to -8).

It knows no connection, and of messages only that they are text. What is no character becomes U+FFFD: lone surrogates
occur in the field, and one broken event must not cost its neighbours.
"""

from __future__ import annotations

from collector.kernel.letters import Letters
from collector.wire.connection import Answer
from collector.wire.trouble import Trouble
from collector.wsman.payload import PayloadError, open_payload


def decoded(answer: Answer) -> str:
    """The text of *answer*, ``""`` for an empty body. Raises ``Trouble`` ("charset"), which names no URL."""
    content = opened(answer)
    return content if isinstance(content, str) else content.text()


def opened(answer: Answer) -> str | Letters:
    """The same, or its letters: ``read_answer`` makes of them only what it needs."""
    try:
        return open_payload(answer.body, answer.content_type, "", len(answer.body)).content
    except PayloadError as error:
        raise Trouble(
            "charset", f"HTTP {answer.status}: the answer is no text: {error}", sent=True, status=answer.status
        ) from error
