"""Made-up events: the forwarder's byte style, the mixes of the roles, and repeatable runs."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest
from lxml import etree

from collector.simulate.generator import ROLES, Machine, fleet_names, kinds

NOW = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)
NAMESPACE = "{http://schemas.microsoft.com/win/2004/08/events/event}"


def events(role: str, count: int, seed: int = 1) -> list[str]:
    machine = Machine("ws-0001.corp.example", role, seed)
    return [machine.happening(NOW).write(number) for number in range(count)]


@pytest.mark.parametrize("role", ROLES)
def test_every_event_is_well_formed_and_in_the_forwarders_style(role: str) -> None:
    """One line, single quotes, 7-digit times, braces round GUIDs: what the fast path is made for."""
    for number, xml in enumerate(events(role, 400)):
        head = xml.partition("</System>")[0]
        assert '"' not in head
        assert re.search(r"SystemTime='2026-03-04T05:06:07\.123456\dZ'", head)
        assert f"<EventRecordID>{number}</EventRecordID>" in head
        assert not re.search(r"Guid='[^{]", head)
        assert not re.search(r">\s+<", xml)
        root = etree.fromstring(xml)
        assert root.findtext(f"{NAMESPACE}System/{NAMESPACE}Computer") == "ws-0001.corp.example"
        assert "{" not in head.replace("'{", "").replace("}'", "")  # no value was left unmade


def test_the_texts_of_rendered_events_are_well_formed_too() -> None:
    """A RenderedText subscription gets them put into the event."""
    machine = Machine("dc-0001.corp.example", "controller", 2)
    for _ in range(300):
        rendering = etree.fromstring(machine.happening(NOW).rendering)
        assert rendering.tag == "RenderingInfo"
        assert rendering.findtext("Message")


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    """A failure in a load test can be looked at again."""
    assert events("server", 50, seed=7) == events("server", 50, seed=7)
    assert events("server", 50, seed=7) != events("server", 50, seed=8)


def test_each_role_has_a_mix_of_its_own() -> None:
    """Kerberos tickets are issued by domain controllers only, and workstations start processes."""

    def ids(role: str) -> Counter[str]:
        return Counter(re.search(r"<EventID[^>]*>(\d+)", xml)[1] for xml in events(role, 1500))  # type: ignore[index]

    workstation, controller = ids("workstation"), ids("controller")
    assert workstation["4769"] == 0 < controller["4769"]
    assert workstation["4688"] > controller["4688"]
    assert {"4624", "4634", "4672", "7036", "4104", "1", "3", "22"} <= set(workstation)


def test_every_kind_can_happen_and_uses_words_that_can_be_made_up() -> None:
    """A typing mistake in mix.toml would show only now and then."""
    for kind in kinds():
        assert sum(kind.weights) > 0
        machine = Machine("ws-0001.corp.example", "workstation", 1)
        machine._kinds, machine._weights = [kind], [1]
        machine.happening(NOW).write(1)


def test_a_fleet_of_twenty_has_every_role_and_names_that_differ() -> None:
    """wef demo shows twenty."""
    named = fleet_names(20)

    assert Counter(role for _, role in named) == {"workstation": 16, "server": 3, "controller": 1}
    assert len({name for name, _ in named}) == 20
    assert fleet_names(7) == named[:7]
