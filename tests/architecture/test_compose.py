"""deploy/compose.yaml, read without a YAML library: it uses the plain part of YAML; this parser refuses the rest."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import REPOSITORY

FILE = REPOSITORY / "deploy" / "compose.yaml"
LINE = re.compile(r"( *)(?:(- )|([A-Za-z_][A-Za-z0-9_.]*):(?: |$))(.*)")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*")
SERVICES = ["kafka", "elasticsearch", "kibana"]


def scalar(text: str) -> Any:
    """JSON, or one plain word that every YAML reads as the same text."""
    if text[0] in '"[{' or text.isdecimal():
        return json.loads(text)
    assert WORD.fullmatch(text), f"quote {text!r}"
    assert text.lower() not in {"yes", "no", "on", "off", "true", "false", "null"}, f"quote {text!r}"
    return text


def parse(text: str) -> dict[str, Any]:
    """Mappings by indentation of two, lists of scalars, JSON's values; a key that is there twice is refused."""
    root: dict[str, Any] = {}
    levels: list[Any] = [root]
    pending: tuple[dict[str, Any], str] | None = None
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = LINE.fullmatch(line)
        assert found, line
        depth, odd = divmod(len(found[1]), 2)
        assert not odd, line
        if pending is not None:
            assert depth == len(levels), f"nothing stands below {pending[1]}"
            pending[0][pending[1]] = [] if found[2] else {}
            levels.append(pending[0][pending[1]])
            pending = None
        assert depth < len(levels), line
        levels = levels[: depth + 1]
        if found[2]:
            levels[-1].append(scalar(found[4]))
            continue
        assert found[3] not in levels[-1], f"{found[3]} is there twice"
        if found[4]:
            levels[-1][found[3]] = scalar(found[4])
        else:
            pending = (levels[-1], found[3])
    assert pending is None
    return root


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return parse(FILE.read_text())


def version(name: str) -> str:
    found = re.search(rf"<{name}>([^<]+)</", (REPOSITORY / "tests" / "servers" / "pom.xml").read_text())
    assert found
    return found[1]


def test_it_holds_the_pair_and_a_window_to_it(compose: dict[str, Any]) -> None:
    """Issue 5: Kafka, Elasticsearch and Kibana for people."""
    assert list(compose["services"]) == SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_else_can_reach_a_server_without_a_password(compose: dict[str, Any], name: str) -> None:
    """Docker opens published ports past the firewall of the machine."""
    ports = compose["services"][name]["ports"]

    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


@pytest.mark.parametrize("name", SERVICES)
def test_each_says_when_it_is_ready_keeps_its_files_and_has_a_bound(compose: dict[str, Any], name: str) -> None:
    """`up --wait` returns when the demo can start; a restart loses nothing; a laptop stays usable."""
    service = compose["services"][name]

    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert re.fullmatch(r"\d+(\.\d+)?[mg]", service["mem_limit"])
    (volume,) = service["volumes"]
    assert volume.startswith(f"{name}:/")
    assert name in compose["volumes"]


def test_they_are_the_versions_that_the_tests_run(compose: dict[str, Any]) -> None:
    """What people try is what was tried; Kibana must be exactly as old as its Elasticsearch."""
    tags = {name: service["image"].rpartition(":")[2] for name, service in compose["services"].items()}

    assert tags == {
        "kafka": version("kafka"),
        "elasticsearch": version("elasticsearch"),
        "kibana": version("elasticsearch"),
    }


def test_topics_do_not_appear_by_themselves(compose: dict[str, Any]) -> None:
    """The demo shows what wef setup is for, and a typing error in a topic is found here too."""
    environment = compose["services"]["kafka"]["environment"]

    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:9092"


def test_its_header_says_what_to_type() -> None:
    """Nobody looks for a page about it."""
    header = FILE.read_text().partition("\nname:")[0]

    assert "wef demo --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200" in header
    assert "wef setup kafka --apply" in header


@pytest.mark.parametrize(
    "text",
    ["a:\n  b: 1\n  b: 2\n", "a: yes\n", "a:\n", "a:\n   b: 1\n", "a: &anchor\n", "a: 1\n    b: 2\n", "- x\nb: 1\n"],
)
def test_the_parser_refuses_what_it_does_not_understand(text: str) -> None:
    """A check that reads the file otherwise than Docker would be worse than none."""
    with pytest.raises((AssertionError, AttributeError)):
        parse(text)
