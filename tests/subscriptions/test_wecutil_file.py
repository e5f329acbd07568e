"""wecutil's own files: everything they say arrives, in any shape that real files have."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.errors import OperatorError
from collector.query.query_list import parse_query_list
from collector.query.query_list import warnings as query_warnings
from collector.subscriptions.folder import load_folder, read_file
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.sources import ListedSources, SourceAddress
from collector.subscriptions.subscription import Audience, DeliverySettings, Subscription
from collector.subscriptions.wecutil_file import read_wecutil

NAMESPACE = "http://schemas.microsoft.com/2006/03/windows/events/subscription"
QUERY = '<QueryList><Query Id="0" Path="Security"><Select>*</Select></Query></QueryList>'
WHOLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<Subscription xmlns="{NAMESPACE}">
  <SubscriptionId>Servers</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Description>What servers say</Description>
  <Enabled>false</Enabled>
  <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>
  <ConfigurationMode>Custom</ConfigurationMode>
  <Delivery Mode="Push">
    <Batching><MaxItems>20</MaxItems><MaxLatencyTime>60000</MaxLatencyTime></Batching>
    <PushSettings><HostName>wec</HostName><Heartbeat Interval="1800000"/></PushSettings>
  </Delivery>
  <Expires>2030-01-01T00:00:00.000Z</Expires>
  <Query>
    <![CDATA[ <!-- why --> {QUERY} ]]>
  </Query>
  <ReadExistingEvents>true</ReadExistingEvents>
  <TransportName>HTTP</TransportName>
  <ContentFormat>RenderedText</ContentFormat>
  <Locale Language="fr-FR"/>
  <LogFile>ForwardedEvents</LogFile>
  <AllowedSourceNonDomainComputers>
    <AllowedIssuerCAList><IssuerCA>\u200eAB CD ef</IssuerCA></AllowedIssuerCAList>
    <AllowedSubjectList><Subject>*.corp.example</Subject><Subject/></AllowedSubjectList>
    <DeniedSubjectList><Subject>bad.corp.example</Subject></DeniedSubjectList>
  </AllowedSourceNonDomainComputers>
  <AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)</AllowedSourceDomainComputers>
</Subscription>
"""


def small(extra: str = "", query: str = f"<![CDATA[{QUERY}]]>", name: str = "S") -> str:
    return f"<Subscription><SubscriptionId>{name}</SubscriptionId>{extra}<Query>{query}</Query></Subscription>"


def read(text: str) -> Subscription:
    return read_wecutil(text.encode())


def problems(content: bytes) -> list[tuple[int | None, str]]:
    with pytest.raises(FileProblems) as caught:
        read_wecutil(content)
    return list(caught.value.problems)


def test_every_setting_of_a_file_arrives() -> None:
    """Other receivers drop some of them; an import that loses the audience shows events to the wrong people."""
    found = read(WHOLE)

    assert (found.name, found.description, found.enabled) == ("Servers", "What servers say", False)
    assert found.type == "source-initiated"
    assert found.query == ('<QueryList><Query Id="0"><Select Path="Security">*</Select></Query></QueryList>')
    assert found.delivery == DeliverySettings(max_latency=60.0, heartbeat=1800.0, max_items=20)
    assert found.expires == "2030-01-01T00:00:00.000Z"
    assert found.read_existing_events
    assert (found.content_format, found.locale) == ("rendered_text", "fr-FR")
    assert found.audience == Audience()
    assert found.certificates == Audience(("*.corp.example",), ("bad.corp.example",))
    assert found.issuers == ("abcdef",)
    assert found.sddl == "O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)"


def test_a_descriptor_that_cannot_be_read_is_a_problem_of_its_file() -> None:
    """At start, and not when the first machine is shut out."""
    extra = "\n<AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;CORP\\Servers)</AllowedSourceDomainComputers>"

    (problem,) = problems(small(extra).encode())

    assert problem == (2, (
        "in AllowedSourceDomainComputers, at character 20: 'CORP\\\\Servers' is no SID (S-1-5-21-...) and no alias"
        " such as DC (Domain Computers), DD (Domain Controllers), AU (Authenticated Users)."
    ))  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        WHOLE.encode("utf-16"),
        b"\xfe\xff" + WHOLE.encode("utf-16-be"),
        b"\xef\xbb\xbf" + WHOLE.encode(),
        WHOLE.replace("\n", "\r\n").encode(),
        WHOLE.replace("UTF-8", "utf-16").encode("utf-16"),
        WHOLE.replace("UTF-8", "iso-8859-1").replace("\u200e", "\xa0").encode("iso-8859-1"),
        WHOLE.replace(f' xmlns="{NAMESPACE}"', "").encode(),
    ],
    ids=[
        "utf-16",
        "utf-16 big endian",
        "byte order mark",
        "crlf",
        "declared utf-16",
        "declared latin-1",
        "no namespace",
    ],
)
def test_the_same_file_in_another_dress_is_the_same_subscription(content: bytes) -> None:
    """A redirection in PowerShell writes UTF-16; version control changes line ends. Sources must not notice."""
    assert read_wecutil(content) == read(WHOLE)


def test_a_file_that_says_little_gets_windows_defaults() -> None:
    """protocol.md 12.4: rendered text, enabled, nothing old, collector-initiated when no type is given."""
    found = read(small())

    assert (found.enabled, found.read_existing_events, found.content_format) == (True, False, "rendered_text")
    assert (found.locale, found.type) == ("en-US", "pull")


@pytest.mark.parametrize(
    ("mode", "latency", "heartbeat"),
    [("Normal", 900, 900), ("MinLatency", 30, 3600), ("minbandwidth", 21600, 21600), ("0", 900, 900), ("2", 30, 3600)],
)
def test_a_mode_stands_for_its_numbers(mode: str, latency: float, heartbeat: float) -> None:
    """protocol.md 12.5; in words of any case or as the numbers of evcoll.h."""
    extra = f"<SubscriptionType>SourceInitiated</SubscriptionType><ConfigurationMode>{mode}</ConfigurationMode>"

    assert read(small(extra)).delivery == DeliverySettings(max_latency=latency, heartbeat=heartbeat)


@pytest.mark.parametrize(
    ("extra", "kind", "items"),
    [
        ("<SubscriptionType>CollectorInitiated</SubscriptionType>", "pull", 5),
        ("<ConfigurationMode>MinLatency</ConfigurationMode>", "push", 0),
        ("<ConfigurationMode>Custom</ConfigurationMode><Delivery Mode='pull'/>", "pull", 0),
        ("<SubscriptionType>1</SubscriptionType><Delivery Mode='2'/>", "push", 0),
        ("<SubscriptionType>0</SubscriptionType><Delivery Mode='Pull'/>", "source-initiated", 0),
    ],
)
def test_the_type_says_who_speaks_first(extra: str, kind: str, items: int) -> None:
    """A collector-initiated subscription must never be offered to sources."""
    assert read(small(extra)).type == kind
    assert read(small(extra)).delivery.max_items == items


def test_hosts_of_a_collector_initiated_file_are_kept_without_the_disabled_ones() -> None:
    """The pull client takes them over; passwords are never read."""
    hosts = "".join(
        f"<EventSource{attribute}><Address>{host}</Address><Password>hush</Password></EventSource>"
        for host, attribute in (("a.example", ' Enabled="true"'), ("b.example", ' Enabled="FALSE"'), ("c.example", ""))
    )
    found = read(small(f"<EventSources>{hosts}</EventSources>"))

    assert found.sources == (ListedSources((SourceAddress("a.example"), SourceAddress("c.example"))),)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("", SourceAddress("a.example")),
        ("<TransportName>HTTPS</TransportName>", SourceAddress("a.example", None, "https")),
        ("<TransportPort>15986</TransportPort>", SourceAddress("a.example", 15986)),
        (
            "<TransportName>Http</TransportName><TransportPort>80</TransportPort>",
            SourceAddress("a.example", 80, "http"),
        ),
    ],
)
def test_sources_are_called_as_the_file_says(said: str, address: SourceAddress) -> None:
    """TransportName and TransportPort are of all EventSources (protocol.md 12.4)."""
    source = "<EventSources><EventSource><Address>a.example</Address></EventSource></EventSources>"

    assert read(small(said + source)).sources == (ListedSources((address,)),)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("<TransportName>ftp</TransportName>", "TransportName is 'ftp'; it is one of http, https"),
        ("<TransportPort>99999</TransportPort>", "TransportPort is 99999; 1 to 65535 would be right."),
        (
            "<EventSources><EventSource><Address>a b</Address></EventSource></EventSources>",
            'in EventSource: "a b" names no host; write such as',
        ),
    ],
)
def test_what_cannot_be_called_is_said(said: str, sentence: str) -> None:
    """At start, and not as a source that is silent for ever."""
    with pytest.raises(FileProblems) as caught:
        read(small(said))

    assert [text for _, text in caught.value.problems if text.startswith(sentence)]


def test_a_query_may_be_escaped_instead_of_cdata() -> None:
    """Both are the same text to an XML parser (protocol.md 6.2.4)."""
    escaped = QUERY.replace("&", "&amp;").replace("<", "&lt;")

    assert read(small(query=escaped)).query == read(small()).query


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("<Subscription>", 1, "the file cannot be read: the XML is not well-formed"),
        ("\n\n<Subscriptions/>", 1, "the file begins with Subscriptions; a wecutil file begins with Subscription."),
        (small(name=""), None, "SubscriptionId is missing or empty"),
        (small("\n<Enabled>maybe</Enabled>"), 2, "Enabled is 'maybe'; it is one of true, false (or its number)."),
        (small("\n<ContentFormat>Text</ContentFormat>"), 2, "ContentFormat is 'Text'; it is one of events,"),
        (
            small("<Delivery>\n<Batching><MaxLatencyTime>soon</MaxLatencyTime></Batching></Delivery>"),
            2,
            "Delivery/Batching/MaxLatencyTime is 'soon'; it is a whole number of at least 1.",
        ),
        (
            small("<Delivery><PushSettings>\n<Heartbeat Interval='0'/></PushSettings></Delivery>"),
            2,
            "Delivery/PushSettings/Heartbeat is '0'",
        ),
        (small(query="  "), None, "Query is missing or empty"),
        (small("\n\n", "<![CDATA[\n<QueryList>\n<Query/>\n<Query></QueryList>]]>"), 6, "in Query: the query"),
        (small("\n", "&lt;QueryList/&gt;"), 2, "in Query: nothing is selected"),
        ("<!DOCTYPE a><Subscription/>", None, "the file cannot be read: the XML has a document type"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, line: int | None, sentence: str) -> None:
    """A folder may hold a hundred files that somebody else wrote."""
    found = problems(text.encode())

    assert found[0][0] == line
    assert found[0][1].startswith(sentence)


def test_a_file_in_no_encoding_names_the_line() -> None:
    """Better than a guess that changes a channel's name."""
    assert problems(b"<Subscription>\n\xff</Subscription>") == [
        (2, "this is neither UTF-8 nor UTF-16 with a byte order mark.")
    ]


def test_every_public_baseline_loads(shared_data: Path) -> None:
    """96 real files; the one that its author broke is named with file and line."""
    loaded, broken = {}, {}
    for path in sorted((shared_data / "subscriptions").glob("*/*.xml")):
        try:
            loaded[path] = read_file(path)
        except FileProblems as error:
            broken[path.name] = error.problems

    assert len(loaded) == 95
    ((name, ((line, sentence),)),) = broken.items()
    assert (name, line) == ("System-Center-Endpoint-Protection.xml", 29)
    assert sentence.startswith("in Query: the query cannot be read: the XML is not well-formed: Extra content")
    for subscription in loaded.values():
        assert subscription.type == "source-initiated"
        assert "<!--" not in subscription.query
        assert query_warnings(parse_query_list(subscription.query)) == []


def test_a_folder_with_a_broken_baseline_is_refused_as_a_whole(shared_data: Path) -> None:
    """Half a set would stop the other half at every source."""
    with pytest.raises(OperatorError) as caught:
        load_folder(shared_data / "subscriptions/mdecrevoisier")

    (problem,) = caught.value.problems
    assert "System-Center-Endpoint-Protection.xml line 29: in Query:" in problem
    assert caught.value.exit_code == 78


def test_palantirs_numbers_are_understood(shared_data: Path) -> None:
    """subscriptions.md 1: MaxItems 1, 5 or 10, five or fifteen minutes, heartbeats every half hour."""
    found = [read_file(path) for path in (shared_data / "subscriptions/palantir").glob("*.xml")]

    assert sorted({entry.delivery.max_items for entry in found}) == [1, 5, 10]
    assert sum(entry.delivery.max_latency == 300 for entry in found) == 43
    assert {entry.delivery.heartbeat for entry in found} == {1800.0}
    assert {entry.sddl for entry in found} == {"O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)(A;;GA;;;DD)"}
