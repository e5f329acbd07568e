"""winrm/config as it is asked of us: real clients' requests, ours, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.wsman import answers, calls, names
from collector.wsman.messages import Enumerate, Identify, ResourceRequest, ResourceResponse, Unsupported
from collector.wsman.reader import EnvelopeError, read_envelope
from collector.wsman.resources import LONGEST_CONTEXT, of_config
from collector.wsman.writer import write_envelope
from tests.wsman.spoken import MESSAGE_ID

VOICE = calls.Voice("http://wec:5985/wsman", names.CONFIG_LISTENER)
GET = calls.write_get(VOICE, [("Address", "*"), ("Transport", "HTTP")], message_id=MESSAGE_ID, timeout=20)
ENUMERATE = calls.write_resource_enumerate(VOICE, message_id=MESSAGE_ID, timeout=20)
PULL = calls.write_resource_pull(VOICE, "here", message_id=MESSAGE_ID, timeout=20, max_elements=7)
ITEMS = ['<a xmlns="urn:x">1</a>', '<a xmlns="urn:x">2</a>']


def asked(text: str) -> ResourceRequest:
    message = read_envelope(text)
    assert isinstance(message, ResourceRequest)
    return message


def test_the_request_of_a_real_client_is_read(shared_data: Path) -> None:
    """pypsrp's own Get of winrm/config (captured)."""
    request = asked((shared_data / "captures" / "winrm-config-get-request.xml").read_text())

    assert request.verb == "Get"
    assert of_config(request.header.resource_uri) == ""
    assert request.header.max_envelope_size == 153600
    assert not request.selectors


def test_what_our_own_client_asks_is_understood() -> None:
    """Selectors, the number of elements, the context, and whether items may come at once."""
    assert asked(GET).selectors == (("Address", "*"), ("Transport", "HTTP"))
    enumerate_ = asked(ENUMERATE)
    assert (enumerate_.verb, enumerate_.optimized, enumerate_.max_elements) == ("Enumerate", True, 32000)
    pull = asked(PULL)
    assert (pull.verb, pull.context, pull.max_elements) == ("Pull", "here", 7)
    release = asked(PULL.replace(names.PULL, names.RELEASE).replace("n:Pull>", "n:Release>"))
    assert (release.verb, release.context) == ("Release", "here")


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (names.CONFIG, ""),
        (names.CONFIG + "/", ""),
        (names.CONFIG.upper() + "/Service/AUTH", "service/auth"),
        (names.CONFIG + "uration", None),
        (names.SUBSCRIPTION_MANAGER, None),
        ("", None),
    ],
)
def test_a_resource_is_named_without_regard_to_case(resource: str, path: str | None) -> None:
    """winrm sends what people type: winrm/config/Listener."""
    assert of_config(resource) == path


def test_subscriptions_are_still_enumerated_and_other_resources_still_refused() -> None:
    """Only what is below winrm/config goes another way: a source's Enumerate must never be taken for one."""
    other = ENUMERATE.replace(names.CONFIG_LISTENER, names.SUBSCRIPTION_MANAGER)

    assert isinstance(read_envelope(other), Enumerate)
    assert isinstance(read_envelope(GET.replace(names.CONFIG_LISTENER, "urn:shell")), Unsupported)
    assert isinstance(read_envelope(GET.replace(names.GET, names.TRANSFER + "/Put")), Unsupported)
    assert isinstance(read_envelope(calls.write_identify()), Identify)


def test_modes_and_filters_are_seen() -> None:
    """EPRs instead of items, and a filter that must not be passed over as if everything had been asked for."""
    mode = "<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>"

    assert asked(ENUMERATE.replace("<w:MaxElements>", f"{mode}<w:MaxElements>")).mode == "EnumerateEPR"
    assert asked(ENUMERATE.replace("<w:MaxElements>", "<w:Filter>x</w:Filter><w:MaxElements>")).filtered
    assert not asked(ENUMERATE).filtered


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GET.replace(f"<a:MessageID>{MESSAGE_ID}</a:MessageID>", ""), "a:MessageInformationHeaderRequired"),
        (ENUMERATE.replace("n:Enumerate>", "n:Other>"), "w:SchemaValidationError"),
        (ENUMERATE.replace(">32000<", ">0<"), "w:SchemaValidationError"),
        (ENUMERATE.replace(">32000<", ">many<"), "w:SchemaValidationError"),
        (PULL.replace(">here<", f">{'x' * (LONGEST_CONTEXT + 1)}<"), "n:InvalidEnumerationContext"),
        (
            ENUMERATE.replace("<w:MaxElements>", "<w:EnumerationMode>x</w:EnumerationMode><w:MaxElements>"),
            "w:UnsupportedFeature",
        ),
    ],
)
def test_what_cannot_be_meant_gets_a_fault(text: str, fault: str) -> None:
    """With the request's own id, or nobody knows what was refused."""
    with pytest.raises(EnvelopeError) as refused:
        read_envelope(text)

    assert refused.value.fault is not None
    assert refused.value.fault.name == fault


def written(reply: ResourceResponse) -> answers.Answer:
    return answers.read_answer(write_envelope(reply, message_id="uuid:9", relates_to=MESSAGE_ID), MESSAGE_ID)


def test_what_we_answer_is_what_a_client_reads() -> None:
    """Each form, with the reader of the calling side."""
    assert written(ResourceResponse("Get", ITEMS[:1])) == answers.Got(ITEMS[0])
    assert written(ResourceResponse("Enumerate", ITEMS)) == answers.Enumerated(ITEMS, None, True)
    assert written(ResourceResponse("Enumerate", ITEMS, "more")) == answers.Enumerated(ITEMS, "more", False)
    assert written(ResourceResponse("Enumerate", (), "all", optimized=False)) == answers.Enumerated([], "all", False)
    pulled = written(ResourceResponse("Pull", ITEMS, "more"))
    assert isinstance(pulled, answers.Pulled)
    assert (list(pulled.pieces), pulled.context, pulled.ended) == (ITEMS, "more", False)
    last = written(ResourceResponse("Pull", ITEMS))
    assert isinstance(last, answers.Pulled)
    assert (last.context, last.ended) == (None, True)
    released = write_envelope(ResourceResponse("Release"), message_id="uuid:9", relates_to=MESSAGE_ID)
    assert names.RELEASE_RESPONSE in released
