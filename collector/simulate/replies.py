"""What a collector's answer means to a Windows source: go on, come again, or stop.

Pure: an HTTP answer in, a judgement out. Which status Windows names how: protocol.md 2.3; what it does
then: 6.7 and 8.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from collector.simulate.wire import Answer
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Ack, EnumerateResponse, Fault, IdentifyResponse, Offer
from collector.wsman.responses import read_response

_TEMPORARY_STATUS = frozenset({408, 425, 429, 502, 503, 504})
_TEMPORARY_FAULTS = frozenset(
    {"w:InternalError", "w:TimedOut", "w:QuotaLimit", "a:EndpointUnavailable", "w:Concurrency"}
)


@dataclass(frozen=True, slots=True)
class Taken:
    """The collector has it; go on."""


@dataclass(frozen=True, slots=True)
class Offered:
    """These subscriptions are meant for us."""

    offers: Sequence[Offer]


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not now: say the same again later, on a new connection. *answered*: somebody is there at all."""

    reason: str
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Not ever."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unproved:
    """Nothing was asked, because we could not get a ticket to show: the trouble is ours, and may pass."""

    reason: str


Judgement = Unproved | Taken | Offered | TryAgain | Refused


def judge_enumerate(answer: Answer, message_id: str) -> Offered | TryAgain | Refused:
    """The answer to an Enumerate that was sent as *message_id*."""
    judgement = _judge(answer, message_id)
    if isinstance(judgement, Taken):
        return TryAgain("the answer to Enumerate is an Ack")
    return judgement


def judge_delivery(answer: Answer, message_id: str) -> Taken | TryAgain | Refused:
    """The answer to events, a heartbeat or an end that was sent as *message_id*."""
    judgement = _judge(answer, message_id)
    if isinstance(judgement, Offered):
        return TryAgain("the answer to a delivery is an EnumerateResponse")
    return judgement


def _judge(answer: Answer, message_id: str) -> Taken | Offered | TryAgain | Refused:
    if answer.status in _TEMPORARY_STATUS:
        return TryAgain(f"HTTP {answer.status}")
    if not answer.text.strip():
        # 0x803380F5 for a 200 (empty where SOAP was expected), 0x80338170 for a 500: neither tells us to stop
        temporary = answer.status in (200, 500)
        return TryAgain(f"HTTP {answer.status} without SOAP") if temporary else Refused(f"HTTP {answer.status}")
    try:
        reply = read_response(answer.text)
        if not isinstance(reply, Fault):
            read_response(answer.text, message_id)  # it has to be the answer to just this message
    except EnvelopeError as error:
        reason = f"HTTP {answer.status}: {error}"
        return TryAgain(reason) if answer.status in (200, 500) else Refused(reason)
    match reply:
        case Fault(name, text=text):
            reason = f"HTTP {answer.status}, {name}" + (f": {text}" if text else "")
            return TryAgain(reason) if name in _TEMPORARY_FAULTS else Refused(reason)
        case _ if answer.status != 200:
            return Refused(f"HTTP {answer.status} with an answer that is no fault")
        case Ack():
            return Taken()
        case EnumerateResponse(offers):
            return Offered(offers)
        case IdentifyResponse():
            return TryAgain("the answer is an IdentifyResponse, which nobody asked for")
        case _ as never:
            assert_never(never)
