"""Whatever computers and channels are called, a topic's name is one that Kafka takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sinks.datasets import datasets
from collector.sinks.kafka.topics import LONGEST, TopicTemplate

LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def topic(text: str, *, channel: str = "", subscription: str = "", computer: str = "", source: str = "") -> str:
    template = TopicTemplate(text, datasets())
    return template.topic(channel=channel, subscription=subscription, computer=computer, source=source)


def test_the_dataset_of_a_channel_names_the_topic() -> None:
    """The default: Elastic's own names, so that consumers know what to expect."""
    assert topic("windows-{dataset}", channel="Security") == "windows-system.security"
    assert topic("windows-{dataset}", channel="Anything/Else") == "windows-windows.forwarded"


def test_a_channel_is_made_safe_for_kafka() -> None:
    """Channels hold slashes and blanks."""
    assert (
        topic("w-{channel}", channel="Microsoft-Windows-Sysmon/Operational") == "w-microsoft-windows-sysmon-operational"
    )


def test_long_names_stay_different() -> None:
    """Cutting alone would mix the events of two computers."""
    names = [topic("{computer}", computer="x" * 400 + end) for end in "ab"]

    assert len(set(names)) == 2
    assert all(len(name) == LONGEST for name in names)


@given(name=st.text(max_size=300), template=st.sampled_from(["{computer}", "{channel}.{source}", "a{subscription}"]))
def test_every_name_gives_a_legal_topic(name: str, template: str) -> None:
    """One name that Kafka refuses would block a sink for all."""
    found = topic(template, channel=name, subscription=name, computer=name, source=name)

    assert LEGAL.fullmatch(found)
    assert found not in {".", ".."}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("windows-{chanel}", "there is no {chanel}"),
        ("windows {dataset}", "is no topic"),
        ("windows-{dataset", "a placeholder is written"),
        ("{dataset!r}", "placeholders are"),
        ("..", "Kafka refuses"),
        ("", "is no topic"),
        ("x" * 250, "is no topic"),
    ],
)
def test_a_template_that_can_be_no_topic_is_refused_with_a_sentence(text: str, words: str) -> None:
    """`wef check` finds it, not the first event."""
    with pytest.raises(ValueError, match=re.escape(words)):
        TopicTemplate(text)
