"""What is said about machines that do not answer as they should: somebody has to act on it."""

from __future__ import annotations

from typing import get_args

import pytest

from collector.doctor.remote import of_fault, of_trouble
from collector.wire.trouble import Reason, Trouble
from collector.wsman.answers import SourceFault

PLUGIN = "Event Forwarding Plugin"


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_trouble_has_a_remedy(reason: Reason) -> None:
    """A word that somebody adds to the wire must not end a command in a traceback."""
    kind, remedy = of_trouble(Trouble(reason, "http://pc01:5985/wsman: so it is", sent=False))

    assert kind in ("unreachable", "denied", "wrong")
    assert remedy.endswith((".", "?"))


@pytest.mark.parametrize(
    ("fault", "kind", "said", "remedy"),
    [
        (SourceFault("w:AccessDenied", None, 5, "Access is denied."), "denied", "w:AccessDenied 5: Access", "RootSDDL"),
        (SourceFault("w:AccessDenied", None, None, ""), "denied", "w:AccessDenied", "RootSDDL"),
        (SourceFault("w:InternalError", None, 0x80070005, "x"), "denied", "0x80070005", "RootSDDL"),
        (SourceFault("w:InternalError", None, 5, "x", PLUGIN), "denied", f"5 ({PLUGIN}): x", "Event Log Readers"),
        (SourceFault("w:InternalError", None, 15007, "x", PLUGIN), "wrong", "15007", "wevtutil gl CHANNEL"),
        (SourceFault("w:InternalError", None, 0x803381A6, "x"), "wrong", "0x803381A6", "nobody unsubscribed"),
        (SourceFault("w:InternalError", None, 0x803381A6 - 2**32, "x"), "wrong", "0x803381A6", "nobody unsubscribed"),
        (SourceFault("a:DestinationUnreachable", "InvalidResourceURI", None, "x"), "wrong", "/InvalidResourceURI",
         "There is no such resource"),
        (SourceFault("w:Strange", None, None, "x"), "wrong", "w:Strange: x", "wef doctor code"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_name_number_and_text_with_what_to_do(
    fault: SourceFault, kind: str, said: str, remedy: str
) -> None:
    """Who may read what is another matter than what is not there, or used up."""
    found = of_fault(fault)

    assert found[0] == kind
    assert said in found[1]
    assert remedy in found[2]
