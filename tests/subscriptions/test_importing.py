"""Other collectors' files into ours: the same meaning, or a sentence; never something in between."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from uuid import uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.subscriptions.importing import file_name, import_text, read_foreign
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sources import ListedSources, SourceAddress
from collector.subscriptions.subscription import Audience, DeliverySettings, Imported, Spoofing, Subscription
from collector.subscriptions.toml_file import NAMESPACE, read_toml
from collector.subscriptions.toml_text import duration, toml_text
from collector.subscriptions.wecutil_file import read_wecutil

QUERY = '<QueryList><Query Id="0"><Select Path="Security">*</Select></Query></QueryList>'
ID = "0d0b6c9a-3b1e-4e57-9d3a-6d0c1f6a2b11"


def wecutil(inner: str = "", name: str = "logons", query: str = QUERY) -> bytes:
    return (
        f"<Subscription xmlns='http://schemas.microsoft.com/2006/03/windows/events/subscription'>"
        f"<SubscriptionId>{name}</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>"
        f"<Query><![CDATA[{query}]]></Query>{inner}</Subscription>"
    ).encode()


def imported(content: bytes) -> tuple[Subscription, str]:
    """What our own reader makes of the file that the import wrote, and that file."""
    text = import_text(read_foreign(content), "FILE.xml")
    return read_toml(text), text


def test_every_real_file_means_the_same_after_its_import(shared_data: Path) -> None:
    """Query, settings, audience, SDDL: a difference would make every source subscribe again, or to something else."""
    files = sorted((shared_data / "subscriptions").rglob("*.xml"))
    broken: list[tuple[str, list[int | None]]] = []
    for file in files:
        content = file.read_bytes()
        try:
            found, text = imported(content)
        except FileProblems as error:
            broken.append((file.name, [line for line, _ in error.problems]))
            continue
        assert found == replace(read_wecutil(content), sources=()), file
        assert tomllib.loads(text)["query"].count("<!--") == content.count(b"<!--", content.find(b"<Query>")), file

    assert len(files) == 96
    assert broken == [("System-Center-Endpoint-Protection.xml", [29])]


def test_a_query_stays_as_people_wrote_it() -> None:
    """Its comments say why; line breaks and indentation make it readable."""
    select = "<Select Path='Security'>*[System[\n EventID=1]]</Select>"
    query = f"\n  <QueryList><!-- why -->\r\n\t<Query Id='0'>{select}</Query></QueryList> "

    _, text = imported(wecutil(query=query))

    assert f"query = '''\n{query.strip().replace(chr(13), '')}\n'''\n" in text


def test_what_has_no_counterpart_is_named_in_the_file() -> None:
    """Somebody may look for it; credentials are named and never quoted."""
    _, text = imported(wecutil(
        "<LogFile>WEC6-Sysmon</LogFile><TransportPort>5985</TransportPort><EventSources><EventSource Enabled='true'>"
        "<Address>a</Address><UserName>admin</UserName><Password>hunter2</Password></EventSource></EventSources>"
    ))  # fmt: skip

    head = text.partition("\nname = ")[0]
    assert head.startswith("# Imported from FILE.xml.\n# Not carried over: LogFile WEC6-Sysmon, TransportPort 5985,")
    assert "user names and passwords" in head
    assert "admin" not in text
    assert "hunter2" not in text


def test_issuers_sddl_and_expiry_are_keys_of_ours() -> None:
    """The SDDL says which domain members it is for, issuers and subjects which of the others."""
    thumbprint = "‎AB CD" + "0" * 36
    found, text = imported(wecutil(
        f"<AllowedSourceNonDomainComputers><AllowedIssuerCAList><IssuerCA>{thumbprint}</IssuerCA></AllowedIssuerCAList>"
        "<AllowedSubjectList><Subject>*.dmz</Subject></AllowedSubjectList>"
        "<DeniedSubjectList><Subject>bad.dmz</Subject></DeniedSubjectList>"
        "</AllowedSourceNonDomainComputers><AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)"
        "</AllowedSourceDomainComputers><Expires>2030-01-01T00:00:00.000Z</Expires>"
    ))  # fmt: skip

    assert (found.issuers, found.sddl) == (("abcd" + "0" * 36,), "O:NSG:NSD:(A;;GA;;;DC)")
    assert found.expires == "2030-01-01T00:00:00.000Z"
    assert (found.audience, found.certificates) == (Audience(), Audience(("*.dmz",), ("bad.dmz",)))
    assert 'sddl = "O:NSG:NSD:(A;;GA;;;DC)"\n' in text
    assert text.endswith('[certificates]\nallow = ["*.dmz"]\ndeny = ["bad.dmz"]\n')


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("", "Windows lets Domain Computers have it then"),
        ("<AllowedSubjectList><Subject>*.dmz</Subject></AllowedSubjectList>", "Windows lets none of them have it then"),
    ],
)
def test_a_file_that_is_silent_about_domain_members_is_imported_with_a_note(said: str, note: str) -> None:
    """Windows has a default that depends on the other lists; ours is everybody, which must surprise nobody."""
    allowed = "AllowedSourceNonDomainComputers"
    content = wecutil(f"<{allowed}>{said}</{allowed}>")

    (found,) = read_foreign(content).notes

    assert note in found
    (about_credentials, about_sources) = read_foreign(content.replace(b"SourceInitiated", b"CollectorInitiated")).notes
    assert about_credentials.startswith("Its sources are called: write the account into [credentials.NAME]")
    assert about_sources == "It names no enabled EventSource to call, so it is imported disabled; give sources."


def test_an_issuer_that_can_match_nobody_is_a_problem() -> None:
    """Silence of all sources is the worst way to learn of a typing mistake."""
    allowed = "AllowedSourceNonDomainComputers"
    with pytest.raises(FileProblems, match=r'issuers\[0\]: "12" is no SHA-1 thumbprint'):
        imported(wecutil(
            f"<{allowed}><AllowedIssuerCAList><IssuerCA>12</IssuerCA></AllowedIssuerCAList></{allowed}>"
        ))  # fmt: skip


@pytest.mark.parametrize("place", ["LogFile", "Description", "Expires"])
def test_no_text_of_the_file_becomes_a_key_of_ours(place: str) -> None:
    """A file from the internet must not slip in an audience through a line break in a comment."""
    evil = "x&#10;enabled = false&#13;[audience]&#10;allow = ['*']&#x2028;\"'''\\"

    found, text = imported(wecutil(f"<{place}>{evil}</{place}>"))

    assert found.enabled
    assert found.audience == Audience()
    assert set(tomllib.loads(text)) <= {
        "name", "description", "enabled", "content_format", "locale", "read_existing_events", "expires", "query",
        "delivery",
    }  # fmt: skip


def test_a_pull_subscription_keeps_its_hosts() -> None:
    """They come later, and the list is the work of years."""
    content = wecutil(
        "<EventSources><EventSource Enabled='true'><Address>a.corp</Address></EventSource>"
        "<EventSource Enabled='false'><Address>b.corp</Address></EventSource></EventSources>"
    ).replace(b"SourceInitiated", b"CollectorInitiated")

    found, text = imported(content)

    assert (found.type, found.sources) == ("pull", (ListedSources((SourceAddress("a.corp"),)),))
    assert "1 EventSource that is disabled" in text


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(str.strip).filter(bool)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(
    name=names, description=texts, sddl=st.sampled_from(["O:NSG:NSD:(A;;GA;;;DC)", "D:\n\t(A;;GA;;;DC)", None]),
    globs=st.lists(texts, max_size=3), comment=texts,
    milliseconds=st.integers(1, 10**9), notes=st.lists(texts, max_size=3),
)  # fmt: skip
def test_whatever_the_texts_hold_the_file_says_it_again(
    name: str, description: str, sddl: str | None, globs: list[str], comment: str, milliseconds: int, notes: list[str]
) -> None:
    """Quoting that is almost right is wrong on the one file that matters."""
    subscription = Subscription(
        name, str(uuid5(NAMESPACE, name)), QUERY, description=description, sddl=sddl,
        audience=Audience(tuple(globs), tuple(globs)), certificates=Audience(deny=tuple(globs)),
        spoofing=Spoofing("tag", tuple(globs), ("corp.example",)),
        delivery=DeliverySettings(milliseconds / 1000, milliseconds / 1000),
    )  # fmt: skip
    text = toml_text(Imported(subscription, QUERY, tuple(notes)), comment)

    assert read_toml(text) == subscription


@pytest.mark.parametrize("inside", ["''' stands in it", "\x7f", "ends with '", '"""', "\\u0041"])
def test_a_query_that_no_literal_text_can_hold_is_escaped(inside: str) -> None:
    """Rare, and still the same query."""
    query = QUERY.replace("*", f"*[EventData[Data='x']]<!-- {inside} -->")

    text = toml_text(Imported(Subscription("n", ID, QUERY), f"{query}'" if inside.endswith("'") else query), "x")

    assert tomllib.loads(text)["query"].strip().startswith(query)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0s"), (0.25, "250ms"), (30.0, "30s"), (60.0, "1m"), (90.0, "90s"), (900.0, "15m"), (3600.0, "1h"),
     (21600.0, "6h"), (86400.0, "1d"), (90000.0, "25h")],
)  # fmt: skip
def test_durations_are_spelled_as_people_do(seconds: float, shown: str) -> None:
    """``1d`` is read at once, ``86400s`` is not."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("name", "file"),
    [("Logons", "Logons.toml"), ("Code Integrity", "Code-Integrity.toml"), ("../../etc/x", "etc-x.toml"),
     ("..", "subscription.toml"), ("Größe", "Größe.toml"), ("x" * 300, "x" * 80 + ".toml"), ("a\0b", "a-b.toml")],
)  # fmt: skip
def test_a_name_makes_a_file_name_and_never_a_path(name: str, file: str) -> None:
    """Names come from files of others; a hidden file would be overlooked by the loader."""
    assert file_name(name) == file


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "at uuid: this key is missing"),
        (b"\xff\xff", "this is not UTF-8"),
        (b"name = ", "here must stand a value"),
        (b"<Subscription/>", "SubscriptionId is missing"),
        (b"\xef\xbb\xbf  <x/>", "a wecutil file begins with Subscription"),
        (b'name = "x"\n[[select]]\nchannel = "Security"\n', "this is a file of our own"),
    ],
)
def test_what_is_no_subscription_is_a_sentence(content: bytes, sentence: str) -> None:
    """Whoever imports a folder wants to know which file it was and why."""
    with pytest.raises(FileProblems, match=sentence):
        read_foreign(content)
