"""What an answer means to a source: to stop, to come again, or to forget."""

from __future__ import annotations

import pytest

from collector.simulate.charset import decoded
from collector.simulate.replies import Refused, Taken, TryAgain, judge_delivery
from collector.simulate.wire import Answer
from tests.simulate.scripted import A, S, W

ID = "uuid:EEC04F74-A27D-4C3A-AEF5-BC5BF54359BA"


def ack(relates_to: str) -> str:
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}"><s:Header><a:Action>http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack'
        f"</a:Action><a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body/></s:Envelope>"
    )


def fault(subcode: str) -> str:
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:w="{W}"><s:Header><a:RelatesTo>{ID}</a:RelatesTo></s:Header>'
        f"<s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>"
        '</s:Code><s:Reason><s:Text xml:lang="en-US">why</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>'
    )


def test_only_an_acknowledgement_of_just_this_message_lets_a_source_forget() -> None:
    """Case counts ([DSP0226] R5.4.4-3): a collector that folds ids is caught here, not on the first real Windows."""
    assert judge_delivery(Answer(200, ack(ID)), ID) == Taken()
    assert isinstance(judge_delivery(Answer(200, ack(ID.lower())), ID), TryAgain)
    assert isinstance(judge_delivery(Answer(200, ""), ID), TryAgain)
    assert isinstance(judge_delivery(Answer(200, "<html>"), ID), TryAgain)


@pytest.mark.parametrize(
    ("status", "text", "verdict"),
    [
        (503, "", TryAgain),
        (503, ack(ID), TryAgain),
        (500, "", TryAgain),
        (500, fault("w:InternalError"), TryAgain),
        (500, fault("w:QuotaLimit"), TryAgain),
        (500, fault("w:DeliveryRefused"), Refused),
        (500, fault("w:AccessDenied"), Refused),
        (400, "", Refused),
        (401, "", Refused),
        (413, "", Refused),
        (404, "<html/>", Refused),
        (202, ack(ID), Refused),
    ],
)
def test_each_refusal_is_read_as_windows_reads_it(status: int, text: str, verdict: type) -> None:
    """Some mean later, some mean never; a source that confuses them loses events or hammers a collector."""
    assert isinstance(judge_delivery(Answer(status, text), ID), verdict)


def test_answers_are_decoded_by_their_byte_order_mark_then_their_charset() -> None:
    """Collectors answer UTF-16 requests in either; both were seen to work with Windows."""
    assert decoded("<ä/>".encode("utf-16"), "utf-8") == "<ä/>"
    assert decoded("<ä/>".encode("utf-16-le"), "UTF-16LE") == "<ä/>"
    assert decoded(b"\xef\xbb\xbf<a/>", None) == "<a/>"
    assert decoded(b"<\xff/>", "x-made-up") == "<�/>"
