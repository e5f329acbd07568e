"""The key ``sources`` of a subscription file."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.subscriptions.importing import import_text
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sources import CsvSources, DirectorySources, FileSources, ListedSources, SourceAddress
from collector.subscriptions.subscription import Imported, Subscription
from collector.subscriptions.toml_file import read_toml

REST = 'name = "x"\ntype = "pull"\n[[select]]\nchannel = "Security"\n'
LDAP = 'ldap = { url = "ldaps://dc.corp.example", base = "DC=corp,DC=example" }'


def subscription(written: str) -> Subscription:
    return read_toml(f"sources = {written}\n{REST}")


def problems(written: str) -> list[str]:
    with pytest.raises(FileProblems) as caught:
        subscription(written)
    return [said for _, said in caught.value.problems]


def test_sources_are_texts_tables_and_lists_of_both() -> None:
    """contract.md 2; texts of one list stay together, whatever stands between them."""
    everything = f'["http://pc01:5985", {{ file = "hosts.txt" }}, "pc02", {{ csv = "/etc/hosts.csv" }}, {{ {LDAP} }}]'

    assert subscription(everything).sources == (
        ListedSources((SourceAddress("pc01", 5985, "http"), SourceAddress("pc02"))),
        FileSources(Path("hosts.txt")),
        CsvSources(Path("/etc/hosts.csv")),
        DirectorySources("ldaps://dc.corp.example", "DC=corp,DC=example"),
    )
    assert subscription('"pc01"').sources == (ListedSources((SourceAddress("pc01"),)),)


def test_a_search_says_all_it_needs() -> None:
    """The filter finds machines of Active Directory where nothing else is said."""
    written = (
        '{ ldap = { url = "ldap://dc", base = "DC=x", filter = "(cn=*)", attribute = "cn", credentials = "dmz",'
        ' bind = "simple" } }'
    )

    assert subscription(written).sources == (DirectorySources("ldap://dc", "DC=x", "(cn=*)", "cn", "dmz", "simple"),)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ('["pc01", "pc 02"]', 'at sources[1]: "pc 02" names no host; write such as'),
        ("[1]", "at sources[0]: 1 is no source and no list of them. Write such as"),
        ("true", "at sources: true is no source and no list of them."),
        ('{ fil = "x" }', 'at sources.fil: there is no such key. Did you mean "file"?'),
        ('{ file = "x", csv = "y" }', "at sources: a table names one list."),
        ("{}", "at sources: a table names one list."),
        ("{ file = 7 }", "at sources.file: 7 is no path; write such as"),
        ('[{ csv = "" }]', 'at sources[0].csv: "" is no path; write such as "hosts.csv".'),
        ('{ ldap = "dc" }', 'at sources.ldap: "dc" is no table.'),
        ('{ ldap = { url = "ldaps://dc" } }', "at sources.ldap.base: it is missing; a search needs url and base."),
        ('{ ldap = { url = "dc", base = "x" } }', 'at sources.ldap.url: "dc" is no directory; write such as'),
        ('{ ldap = { url = "ldaps://[", base = "x" } }', 'at sources.ldap.url: "ldaps://[" is no directory'),
        (
            '{ ldap = { url = "ldaps://dc/DC=x", base = "x" } }',
            'at sources.ldap.url: "ldaps://dc/DC=x" is no directory',
        ),
        ('{ ldap = { url = "ldaps://dc", base = "x", filtr = "y" } }', "at sources.ldap.filtr: there is no such key."),
        ('{ ldap = { url = "ldaps://dc", base = 1 } }', "at sources.ldap.base: 1 is no text; ldap's keys are texts."),
        (
            '{ ldap = { url = "ldaps://c:99999", base = "x" } }',
            'at sources.ldap.url: "ldaps://c:99999" is no directory',
        ),
        ('{ ldap = { url = "ldaps://dc:0", base = "x" } }', 'at sources.ldap.url: "ldaps://dc:0" is no directory'),
        ('{ ldap = { url = "ldap://[:::]", base = "x" } }', 'at sources.ldap.url: "ldap://[:::]" is no directory'),
        ('{ ldap = { url = "ldap://u:pw@dc", base = "x" } }', "at sources.ldap.url: what stands there is no directory"),
        ('{ ldap = { url = "ldaps://dc", base = "x", bind = "ntlm" } }', 'at sources.ldap.bind: "ntlm" is none;'),
        (
            '{ ldap = { url = "ldaps://dc", base = "x", bind = "simple" } }',
            "at sources.ldap.credentials: it is missing;",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(written: str, sentence: str) -> None:
    """A list of sources is long, and the mistake is one word of it."""
    assert [said for said in problems(written) if said.startswith(sentence)]


def test_all_mistakes_are_said_at_once() -> None:
    """Whoever mends a list mends it once."""
    assert len(problems('["a b", "c d", { file = 1 }]')) == 3


@pytest.mark.parametrize(
    "written",
    [
        '["https://pc01:5986/wsman", "pc02", "[2001:db8::1]:5985"]',
        '{ file = "hosts.txt" }',
        f'["pc01", {{ csv = "hosts.csv" }}, {{ {LDAP} }}]',
        '{ ldap = { url = "ldap://dc", base = "DC=x", filter = "(cn=\\"*)", attribute = "cn", credentials = "d" } }',
    ],
)
def test_what_is_exported_is_read_again(written: str) -> None:
    """``wef subscriptions import`` writes nothing that says something else."""
    found = subscription(written)

    assert read_toml(import_text(Imported(found, found.query, ()), "somewhere")).sources == found.sources
