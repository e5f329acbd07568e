"""Subscriptions as our own files say them (contract.md 2)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sources import FileSources, ListedSources, SourceAddress
from collector.subscriptions.subscription import Audience, DeliverySettings, Spoofing
from collector.subscriptions.toml_file import read_toml

SMALLEST = 'name = "everything"\n[[select]]\nchannel = "Security"\n'

WHOLE = """
name = "everything"
id = "0F5D4A52-3F0B-4C7B-9C1A-0A1B2C3D4E5F"
enabled = false
description = "  All of it. "
type = "source-initiated"
content_format = "rendered_text"
locale = "de-DE"
read_existing_events = true
ignore_channel_error = false
compression = "sldc"
[delivery]
max_latency = "5s"
heartbeat = "1h"
max_items = 50
max_envelope_size = "150KiB"
connection_retry = "30s"
retries = 3
[audience]
allow = ["*.corp.example", "PC01$@CORP.EXAMPLE"]
deny = ["bad.*"]
[certificates]
allow = ["*.dmz.example"]
deny = ["bad.dmz.example"]
[spoofing]
policy = "quarantine"
relays = ["wec2.corp.example"]
domains = ["Corp.Example"]
[[select]]
channel = "Security"
query = "*"
[[suppress]]
channel = "Security"
query = "*[System[EventID=4688]]"
"""


def problems(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(FileProblems) as caught:
        read_toml(text)
    return list(caught.value.problems)


def test_a_name_and_a_channel_are_enough() -> None:
    """Everything else has the recommended default (subscriptions.md 4)."""
    found = read_toml(SMALLEST)

    assert found.query == '<QueryList><Query Id="0"><Select Path="Security">*</Select></Query></QueryList>'
    assert found.delivery == DeliverySettings(30.0, 900.0, 0, 512000, 60.0, 5)
    assert found.audience == Audience()
    assert found.spoofing == Spoofing("off")
    assert (found.enabled, found.type, found.content_format) == (True, "source-initiated", "raw")
    assert (found.read_existing_events, found.ignore_channel_error, found.compression) == (False, True, "none")


def test_the_id_comes_from_the_name_and_never_changes() -> None:
    """A source knows a subscription by its id: another one makes it start anew, and send duplicates or skip."""
    assert read_toml(SMALLEST).id == "8bc90b12-c130-5db3-acce-e94a0aeb5e53"


def test_every_key_arrives() -> None:
    """A key that is read and forgotten is worse than one that is refused."""
    found = read_toml(WHOLE)

    assert found.id == str(UUID("0f5d4a52-3f0b-4c7b-9c1a-0a1b2c3d4e5f"))
    assert found.description == "All of it."
    assert (found.enabled, found.read_existing_events, found.ignore_channel_error) == (False, True, False)
    assert (found.content_format, found.locale, found.compression) == ("rendered_text", "de-DE", "sldc")
    assert found.delivery == DeliverySettings(5.0, 3600.0, 50, 153600, 30.0, 3)
    assert found.audience == Audience(("*.corp.example", "PC01$@CORP.EXAMPLE"), ("bad.*",))
    assert found.spoofing == Spoofing("quarantine", ("wec2.corp.example",), ("corp.example",))
    assert found.certificates == Audience(("*.dmz.example",), ("bad.dmz.example",))
    assert "<Suppress Path=" in found.query


def test_rendered_text_is_english_unless_told_otherwise() -> None:
    """Detections are written for one language; a source's own would be whatever it was installed in."""
    assert read_toml(f'content_format = "rendered_text"\n{SMALLEST}').locale == "en-US"
    assert read_toml(SMALLEST).locale is None


def test_a_query_list_may_stand_instead_of_the_tables() -> None:
    """contract.md 2: text copied from the Event Viewer."""
    text = """name = "x"
query = '''
<QueryList>
  <Query Id="0"><Select Path="System">*[System[Level&lt;3]]</Select></Query>
</QueryList>
'''
"""
    assert '<Select Path="System">*[System[Level&lt;3]]</Select>' in read_toml(text).query


def test_pull_has_sources_and_credentials() -> None:
    """contract.md 2: whom to call, and as whom."""
    text = f'type = "pull"\nsources = ["http://a:5985", "b"]\ncredentials = "dmz"\n{SMALLEST}'

    listed = ListedSources((SourceAddress("a", 5985, "http"), SourceAddress("b")))
    assert read_toml(text).sources == (listed,)
    assert read_toml(text).credentials == "dmz"
    from_file = read_toml(f'type = "pull"\nsources = {{ file = "hosts.txt" }}\n{SMALLEST}')
    assert from_file.sources == (FileSources(Path("hosts.txt")),)


def test_a_disabled_subscription_needs_no_sources_yet() -> None:
    """It is begun today and filled in tomorrow."""
    assert read_toml(f'type = "pull"\nenabled = false\n{SMALLEST}').sources == ()


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            'name = "x"\n[[select]]\nchanel = "S"',
            3,
            'at select[0].chanel: there is no such key. Did you mean "channel"?',
        ),
        (f"{SMALLEST}[delivery]\nheartbeat = 15", 5, "at delivery.heartbeat: 15 is no duration"),
        (f'{SMALLEST}[spoofing]\npolicy = "drop"', 5, """at spoofing.policy: "drop" is not one of 'off', 'tag',"""),
        (f"{SMALLEST}[spoofing]\ndomain = []", 5, "at spoofing.domain: there is no such key. Did you mean"),
        (
            f'{SMALLEST}[spoofing]\ndomains = ["*.b"]',
            5,
            'at spoofing.domains[0]: "*.b" is no DNS domain; write it bare',
        ),
        (f"{SMALLEST}[delivery]\nretries = 0", 5, "at delivery.retries: connection_retry and retries are both zero"),
        (f"{SMALLEST}[delivery]\nmax_envelope_size = 4096", 5, "at delivery.max_envelope_size: 4096 is out of range"),
        (f'id = "7"\n{SMALLEST}', 1, 'at id: "7" is no UUID; write one such as'),
        ('name = "x"', None, "nothing is selected; give at least one [[select]] with a channel."),
        (f'query = "<QueryList/>"\n{SMALLEST}', 1, "at query: it stands beside [[select]]"),
        (
            f'{SMALLEST}[[select]]\nchannel = "A"\nquery = "*["',
            6,
            "at select[1].query: channel A, expression *[: column 3",
        ),
        (f'{SMALLEST}[[suppress]]\nchannel = "A"\nquery = "x"', 6, "at suppress[0].query: channel A, expression x:"),
        ("name = \"x\"\nquery = '''\n<QueryList>\n<Query>\n</QueryList>'''", 5, "at query: the query cannot be read"),
        ('name = "x"\nquery = "<QueryList><Query>"', 2, "at query: the query cannot be read"),
        ("name = ", 1, "here must stand a value"),
        (f'sources = ["a"]\n{SMALLEST}', None, 'at type: sources and credentials need type = "pull"'),
        (f'type = "pull"\nsources = [1]\n{SMALLEST}', 2, "at sources[0]: 1 is no source and no list of them."),
        (f'type = "push"\n{SMALLEST}', None, "at sources: type push calls its sources: it is missing."),
        (f'locale = "english please"\n{SMALLEST}', 1, "at locale:"),
        ('name = ""\n[[select]]\nchannel = "S"', 1, "at name:"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int | None, sentence: str) -> None:
    """At start it stops the collector; the person who fixes it is in a hurry."""
    found = problems(text)

    assert [where for where, said in found if said.startswith(sentence)] == [line]


def test_all_mistakes_of_a_file_are_named_at_once() -> None:
    """Three keys, three sentences."""
    found = problems(f'enabled = "yes"\ntyp = "pull"\n{SMALLEST}[delivery]\nmax_items = -1\n')

    assert {sentence.partition(":")[0] for _, sentence in found} == {"at enabled", "at typ", "at delivery.max_items"}


def test_a_descriptor_that_cannot_be_read_is_named_with_its_place() -> None:
    """``wef check`` says so with 78; a collector that starts without it would let in the wrong ones."""
    line = 'sddl = "O:NSG:NSD:(A;;GA;;;DCOM)"\n'

    assert problems(line + SMALLEST) == [(1, (
        "at sddl: at character 20: 'DCOM' is no SID (S-1-5-21-...) and no alias such as DC (Domain Computers),"
        " DD (Domain Controllers), AU (Authenticated Users)."
    ))]  # fmt: skip
