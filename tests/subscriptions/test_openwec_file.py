"""OpenWEC's TOML: what it means here, and what is said about the rest."""

from __future__ import annotations

import pytest

from collector.subscriptions.importing import import_text
from collector.subscriptions.openwec_file import read_openwec
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.subscription import Audience, DeliverySettings
from collector.subscriptions.toml_file import read_toml

HEAD = '''uuid = "0D0B6C9A-3b1e-4e57-9d3a-6d0c1f6a2b11"
name = "ad"
query = """
<QueryList>
  <!-- logons -->
  <Query Id="0"><Select Path="Security">*[System[EventID=4624]]</Select></Query>
</QueryList>
"""
'''
OUTPUT = '[[outputs]]\ndriver = "Kafka"\nformat = "RawJson"\nconfig = { topic = "wef" }\n'


def test_a_file_with_every_option_keeps_what_sources_are_told() -> None:
    """Ids and intervals stay, so that a migration surprises nobody."""
    imported = read_openwec(
        HEAD
        + """[options]
        enabled = false
        heartbeat_interval = 32
        connection_retry_count = 11
        connection_retry_interval = 12
        max_time = 13
        max_elements = 15
        max_envelope_size = 200000
        read_existing_events = true
        content_format = "RenderedText"
        ignore_channel_error = false
        locale = "fr-FR"
        """
        + OUTPUT
    )

    found = imported.subscription
    assert found.id == "0d0b6c9a-3b1e-4e57-9d3a-6d0c1f6a2b11"
    assert found.delivery == DeliverySettings(13.0, 32.0, 15, 200_000, 12.0, 11)
    assert (found.enabled, found.read_existing_events, found.ignore_channel_error) == (False, True, False)
    assert (found.content_format, found.locale) == ("rendered_text", "fr-FR")
    assert "<!-- logons -->" in imported.query
    assert read_toml(import_text(imported, "ad.toml")) == found


def test_a_file_that_says_nothing_has_openwecs_defaults_and_not_ours() -> None:
    """Its heartbeat is an hour (subscriptions.md 4.2), ours a quarter of it."""
    found = read_openwec(HEAD + OUTPUT).subscription

    assert found.delivery == DeliverySettings(30.0, 3600.0, 0, 512_000, 60.0, 5)
    assert (found.enabled, found.content_format, found.locale, found.audience) == (True, "raw", None, Audience())
    assert read_toml(import_text(read_openwec(HEAD), "ad.toml")) == found


@pytest.mark.parametrize(
    ("text", "audience"),
    [
        ('operation = "Only"\ntargets = ["A@R", "b@R"]', Audience(allow=("A@R", "b@R"))),
        ('operation = "Except"\nprincs = ["A@R"]', Audience(deny=("A@R",))),
        ('operation = "Except"\ntargets = []', Audience()),
        ('operation = "Only"\ncert_subjects = ["p*c"]', Audience(allow=("p[*]c",))),
        ('operation = "Only"\nflags = ["CaseInsensitive", "GlobPattern"]\ntargets = ["p*"]', Audience(allow=("p*",))),
        ('targets = ["A@R"]', Audience()),
    ],
)
def test_a_filter_is_an_audience(text: str, audience: Audience) -> None:
    """The same sources get it as before; a star that was a letter stays one."""
    found = read_openwec(f"{HEAD}[filter]\n{text}\n").subscription

    assert found.audience == audience
    assert found.enabled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('operation = "Only"\ntype = "MachineID"\ntargets = ["pc"]', "goes by MachineID"),
        ('operation = "Except"\nkind = "MachineID"\ntargets = ["pc"]', "goes by MachineID"),
        ('operation = "Only"\ntargets = []', "lets nobody have it"),
    ],
)
def test_a_filter_that_cannot_be_kept_shuts_the_subscription(text: str, reason: str) -> None:
    """An empty audience means everybody; more sources than before must not get it by an import."""
    imported = read_openwec(f"{HEAD}[filter]\n{text}\n")

    assert not imported.subscription.enabled
    assert imported.notes[0].startswith("DISABLED")
    assert reason in imported.notes[0]
    assert "DISABLED" in import_text(imported, "ad.toml")


def test_what_is_not_carried_over_is_said() -> None:
    """Paths and outputs are decided elsewhere here; nobody should miss them in silence."""
    notes = "\n".join(
        read_openwec(
            f'later = 1\n{HEAD}[options]\nuri = "/ad"\ndata_locale = "de-DE"\nnewer = true\n{OUTPUT}enabled = false\n'
        ).notes
    )

    assert "uri '/ad'" in notes
    assert "the output Kafka (RawJson, disabled)" in notes
    assert "data_locale 'de-DE'" in notes
    assert "nothing is known of it: options.newer, later." in notes


@pytest.mark.parametrize(("count", "interval"), [(0, 60), (5, 0), (0, 0)])
def test_no_retry_is_no_retry(count: int, interval: int) -> None:
    """[MS-WSMV] wants both or neither, so our files do."""
    options = f"[options]\nconnection_retry_count = {count}\nconnection_retry_interval = {interval}\n"
    imported = read_openwec(HEAD + options)

    assert (imported.subscription.delivery.connection_retry, imported.subscription.delivery.retries) == (0.0, 0)
    assert read_toml(import_text(imported, "ad.toml")) == imported.subscription


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("EventID=4624", "EventID=", 6, "at query"),
        ('"0D0B6C9A', '"zz', 1, "is no UUID"),
        ('name = "ad"', "name = 7", 2, "is not a text"),
    ],
)
def test_a_problem_is_placed_on_its_line(old: str, new: str, line: int, sentence: str) -> None:
    """Files are long, and the mistake is one character."""
    with pytest.raises(FileProblems, match=sentence) as problems:
        read_openwec(HEAD.replace(old, new))
    assert problems.value.problems[0][0] == line


def test_an_unknown_word_in_the_filter_is_a_problem() -> None:
    """There it could mean that fewer sources may have it."""
    with pytest.raises(FileProblems, match=r'filter\.operatoin: there is no such key\. Did you mean "operation"\?'):
        read_openwec(f'{HEAD}[filter]\noperatoin = "Only"\ntargets = ["a"]\n')
