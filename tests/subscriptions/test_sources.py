"""Whom a subscription calls: what lists, files and CSV files may say, and what is said about what they may not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.subscriptions import sources
from collector.subscriptions.sources import (
    CsvSources,
    DirectorySources,
    FileSources,
    ListedSources,
    Resolved,
    SourceAddress,
    SourceList,
    SourceProblem,
    parse_source,
    resolve,
)

SEARCH = DirectorySources("ldaps://dc.corp.example", "DC=corp,DC=example")


def nobody(search: DirectorySources) -> Sequence[str]:
    raise SourceProblem(f"{search.url}: nobody answers")


def read(folder: Path, *lists: SourceList) -> Resolved:
    return resolve(lists, folder, nobody)


def hosts(found: Resolved) -> list[str]:
    return [address.host for address in found.addresses]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pc01", SourceAddress("pc01")),
        (" PC01.corp.example. ", SourceAddress("PC01.corp.example.")),
        ("pc_01:5985", SourceAddress("pc_01", 5985)),
        ("10.0.0.7", SourceAddress("10.0.0.7")),
        ("[2001:db8::1]:5985", SourceAddress("2001:db8::1", 5985)),
        ("[::ffff:10.0.0.7]", SourceAddress("::ffff:10.0.0.7")),
        ("https://h3/wsman", SourceAddress("h3", None, "https", "wsman")),
        ("HTTP://host:80/a/b_1/", SourceAddress("host", 80, "http", "a/b_1")),
        ("https://[2001:db8::1]", SourceAddress("2001:db8::1", None, "https")),
    ],
)
def test_a_source_is_a_host_or_a_url(text: str, address: SourceAddress) -> None:
    """What people have in their lists: names, names with ports, and what winrm's tools call a connection URI."""
    assert parse_source(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "-pc", "pc..x", "pc 01", "pc\t01", "pc01:", "pc01:0", "pc01:65536", "pc01:x", "pc01:\u0665",
        "2001:db8::1",        "[2001:db8::1%eth0]", "[pc01]", "user@pc01", "pc01?x", "pc01#x", "pc01/wsman", "pc01\\x",
        "münchen.example",
        "http://", "http:///wsman", "https://pc01/ws man", "https://pc01/..", "a" * 64, "a." * 127 + "aa", "pc01\0",
        "10.0.0.256", "10.1", "0x7f.1", "1.2.3.4.5", "010.0.0.1", "2130706433",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused_with_what_would_be_right(text: str) -> None:
    """A C library would take 10.1 for 10.0.0.1 and call a stranger; a browser would drop the tab."""
    with pytest.raises(SourceProblem, match=r"such as"):
        parse_source(text)


def test_another_transport_is_named() -> None:
    """ldap:// or ssh:// is a list that was made for something else."""
    with pytest.raises(SourceProblem, match=r'"ssh://pc01": the transport is "ssh"; http or https would be right'):
        parse_source("ssh://pc01")


@given(st.text(max_size=80))
def test_no_text_does_harm(text: str) -> None:
    """Lists come from directories and spreadsheets that others fill: an address or a sentence, and nothing else."""
    try:
        found = parse_source(text)
    except SourceProblem:
        return
    assert parse_source(found.written) == found
    assert found.url(5985, 5986, "wsman").isascii()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("PC01.Corp.Example.", "pc01.corp.example"),
        ("https://pc01:5986/wsman", "pc01"),
        ("http://pc01:5985", "pc01"),
        ("pc01:15985", "pc01:15985"),
        ("[2001:DB8:0:0::1]:5985", "2001:db8::1"),
        ("[2001:db8::1]:15985", "[2001:db8::1]:15985"),
    ],
)
def test_one_machine_has_one_key(text: str, key: str) -> None:
    """Bookmarks are kept under it: who writes the name differently tomorrow does not get everything again."""
    assert parse_source(text).key == key


@pytest.mark.parametrize(
    ("text", "transport", "url"),
    [
        ("pc01", "http", "http://pc01:5985/wsman"),
        ("pc01", "https", "https://pc01:5986/wsman"),
        ("https://pc01", "http", "https://pc01:5986/wsman"),
        ("pc01:15985", "http", "http://pc01:15985/wsman"),
        ("http://[2001:db8::1]/winrm", "https", "http://[2001:db8::1]:5985/winrm"),
    ],
)
def test_what_an_address_leaves_open_is_what_the_settings_say(text: str, transport: str, url: str) -> None:
    """[pull] has http_port, https_port and url_prefix; the transport is that of the credentials."""
    assert parse_source(text).url(5985, 5986, "wsman", transport) == url


def test_a_file_has_a_source_on_each_line(tmp_path: Path) -> None:
    """Comments and empty lines are people's; a bad line costs that line and is named."""
    (tmp_path / "hosts.txt").write_text("# ours\npc01\r\n\n  pc02:5985  # the old one\npc 03\nhttps://pc04\n")

    found = read(tmp_path, FileSources(Path("hosts.txt")))

    assert hosts(found) == ["pc01", "pc02", "pc04"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f'{tmp_path / "hosts.txt"} line 5: "pc 03" names no host; write such as')
    assert found.whole, "the list was read; who is not in it is gone"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_come_from_powershell(tmp_path: Path, encoding: str) -> None:
    """Out-File writes UTF-16 with a byte order mark, and Set-Content -Encoding utf8 a mark before UTF-8."""
    (tmp_path / "hosts.txt").write_text("pc01\r\npc02\r\n", encoding=encoding, newline="")

    assert hosts(read(tmp_path, FileSources(Path("hosts.txt")))) == ["pc01", "pc02"]


def test_a_csv_file_says_how_each_source_is_called(tmp_path: Path) -> None:
    """Columns in any order; those that mean nothing here are noted."""
    (tmp_path / "hosts.csv").write_text(
        "Owner,Host,Transport,Port,Prefix,Credentials\n"
        "ann,pc01,,,,\n"
        '"b, c",pc02,HTTPS,15986,winrm,dmz\n'
        ",,,,,\n"
        "dan,https://pc03:443,,,,\n"
        "eve,pc04,,99999,,\n"
        "eve,pc05,ftp,,,\n"
        "eve,pc06,,,a b,\n"
        "eve,,,,,\n"
    )

    found = read(tmp_path, CsvSources(Path("hosts.csv")))

    assert found.addresses == (
        SourceAddress("pc01"),
        SourceAddress("pc02", 15986, "https", "winrm", "dmz"),
        SourceAddress("pc03", 443, "https"),
    )
    path = tmp_path / "hosts.csv"
    assert found.notes == (f"{path}: columns that mean nothing here: owner",)
    assert [said.removeprefix(f"{path} line ")[:40] for said in found.problems] == [
        '6: port "99999" is none; 1 to 65535 woul',
        '7: transport "ftp" is none; http or http',
        '8: prefix "a b" is none; such as wsman w',
        '9: "" names no host; write such as "pc01',
    ]


@pytest.mark.parametrize("header", ["host;port", "host\tport", "#TYPE Selected.Computer\r\nhost;port"])
def test_a_csv_file_may_come_from_a_spreadsheet_or_export_csv(tmp_path: Path, header: str) -> None:
    """Where the comma is a decimal one, spreadsheets write semicolons; PowerShell 5 writes a #TYPE line first."""
    mark = "\t" if "\t" in header else ";"
    (tmp_path / "hosts.csv").write_text(f"{header}\r\npc01{mark}5999\r\n", newline="")

    assert read(tmp_path, CsvSources(Path("hosts.csv"))).addresses == (SourceAddress("pc01", 5999),)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name,port\npc01,1\n", "the first line must name the columns, and host among them"),
        (b"", "the first line must name the columns"),
        (b"host\n" + b"a" * 200_000, "line 2 is no CSV: field larger than field limit"),
        (b"host\npc01\n\xff\n", "line 3 is not UTF-8; save the file as UTF-8 text"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    """It is not whole then: sources that it named before are still called."""
    (tmp_path / "hosts.csv").write_bytes(content)

    found = read(tmp_path, CsvSources(Path("hosts.csv")))

    assert not found.whole
    assert len(found.problems) == 1
    assert found.problems[0].startswith((f"{tmp_path / 'hosts.csv'}", f"sources {tmp_path / 'hosts.csv'}"))
    assert sentence in found.problems[0]


def test_one_broken_list_costs_no_other(tmp_path: Path) -> None:
    """A directory that is away for an hour must not end what a file names."""
    (tmp_path / "hosts.txt").write_text("pc01\n")

    found = read(tmp_path, FileSources(Path("gone.txt")), SEARCH, FileSources(Path("hosts.txt")))

    assert hosts(found) == ["pc01"]
    assert found.problems == (
        f"sources {tmp_path / 'gone.txt'} cannot be read: No such file or directory",
        "ldaps://dc.corp.example: nobody answers",
    )
    assert not found.whole


def test_a_directory_names_hosts_that_are_checked_like_any_other(tmp_path: Path) -> None:
    """Whoever may join a machine to the domain may write its dNSHostName."""
    found = resolve([SEARCH], tmp_path, lambda search: ["pc01.corp.example", "pc02/../x", "PC01.corp.example"])

    assert hosts(found) == ["pc01.corp.example"]
    assert found.problems[0].startswith('ldaps://dc.corp.example: dNSHostName: "pc02/../x" is no source; write such as')
    assert found.notes[0].startswith("ldaps://dc.corp.example: dNSHostName: PC01.corp.example is there already")


def test_a_machine_that_stands_there_twice_is_called_once(tmp_path: Path) -> None:
    """Two conversations of one source and subscription would read every event twice (protocol.md 15, quirk 15)."""
    (tmp_path / "hosts.txt").write_text("PC01\npc02\npc02.\n")
    listed = ListedSources((SourceAddress("pc01", None, "https"),))

    found = read(tmp_path, listed, FileSources(Path("hosts.txt")))

    assert found.addresses == (SourceAddress("pc01", None, "https"), SourceAddress("pc02"))
    path = tmp_path / "hosts.txt"
    assert found.notes == (
        f"{path} line 1: PC01 is there already (in sources), and the first one counts",
        f"{path} line 3: pc02. is there already ({path} line 2), and the first one counts",
    )
    assert (found.problems, found.whole) == ((), True)


def test_lists_and_what_is_said_about_them_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path may name a log of gigabytes, a wrong base the whole forest."""
    (tmp_path / "hosts.txt").write_text("".join(f"pc{number}\n" for number in range(sources.MOST + 1)))
    (tmp_path / "odd.txt").write_text("a b\n" * 1000)
    found = read(tmp_path, FileSources(Path("hosts.txt")), FileSources(Path("odd.txt")))

    assert len(found.addresses) == sources.MOST
    assert found.problems[0] == "the subscription names more than 50000 sources; split it"
    assert len(found.problems) == sources.MOST_SAID + 1
    assert found.problems[-1] == "and 952 more of the kind"

    monkeypatch.setattr(sources, "LARGEST_FILE", 100)
    found = read(tmp_path, FileSources(Path("hosts.txt")))
    assert found.problems == (f"sources {tmp_path / 'hosts.txt'} has more than 100 bytes; that is no list of hosts",)


@pytest.mark.parametrize(
    "text", ["svc-pull:hunter2@pc01", "http://CORP\\svc:hunter2@pc01:5985/wsman", "hunter2@pc01/x"]
)
def test_an_account_before_a_host_is_refused_and_not_repeated(text: str) -> None:
    """What a browser takes has a password in it, and the sentence goes into logs."""
    with pytest.raises(SourceProblem, match=r"\[credentials\.NAME\]") as caught:
        parse_source(text)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("hosts.txt", "pc01\npc02\n".encode("utf-16-le"), "hosts.txt holds NULs, as UTF-16 without its mark does"),
        ("hosts.txt", "pc01\n".encode("utf-32"), "hosts.txt holds NULs"),
        ("hosts.txt", b"", "hosts.txt names no source; where nobody shall be called, say enabled = false"),
        ("hosts.txt", b"# nobody\n\n", "hosts.txt names no source"),
        ("hosts.txt", b"<html>\n<body>\n", "hosts.txt names no source"),
        ("hosts.csv", b"host,port\n", "hosts.csv names no source"),
        ("hosts.csv", b'host,port\npc00,5985\n"pc01,5985\npc02,5985\n', "hosts.csv line 5 is no CSV: unexpected end"),
        ("hosts.csv", b'host\n"pc01"x\n', "hosts.csv line 2 is no CSV"),
        ("hosts.csv", b"host,port,host\npc01,1,pc02\n", "hosts.csv: the first line names the column host twice"),
    ],
)
def test_a_list_that_is_none_takes_nobody_away(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """A script that empties the file before it fails to fill it would unsubscribe a whole site."""
    (tmp_path / name).write_bytes(content)

    found = read(tmp_path, CsvSources(Path(name)) if name.endswith("csv") else FileSources(Path(name)))

    assert not found.whole
    assert sentence in found.problems[0]


def test_a_directory_that_finds_nothing_is_a_problem(tmp_path: Path) -> None:
    """Active Directory answers success and no object to an account that may not read there any more."""
    found = resolve([SEARCH], tmp_path, lambda search: [])

    assert not found.whole
    assert found.problems == (
        "ldaps://dc.corp.example: it finds no object with dNSHostName; base or filter may be wrong, or the account may"
        " not read them",
    )


def test_a_path_that_is_none_is_said(tmp_path: Path) -> None:
    """Python raises ValueError for it, which would end the collector."""
    (sentence,) = read(tmp_path, FileSources(Path("a\0b"))).problems

    assert sentence.endswith("cannot be read: a path holds no NUL")
    assert sentence.isprintable()


def test_lines_may_end_as_on_an_old_macintosh(tmp_path: Path) -> None:
    """Excel still offers it: CSV (Macintosh)."""
    (tmp_path / "hosts.csv").write_bytes(b"host;port\rpc01;5985\rpc02;5985\r")

    assert hosts(read(tmp_path, CsvSources(Path("hosts.csv")))) == ["pc01", "pc02"]


@pytest.mark.parametrize("above", ["sep=;\r\n", "\r\n\r\n", "#TYPE Selected\r\n"])
def test_what_programs_write_above_the_header_is_passed_over(tmp_path: Path, above: str) -> None:
    """sep=; is what Excel needs to open a file that it wrote itself in another country."""
    (tmp_path / "hosts.csv").write_text(f"{above}host;port\r\npc01;5985\r\n;99\r\n", newline="")

    found = read(tmp_path, CsvSources(Path("hosts.csv")))

    assert hosts(found) == ["pc01"]
    assert f"line {above.count(chr(10)) + 3}: " in found.problems[0]


def test_a_file_of_something_else_is_left_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen megabytes of another file would be gigabytes of sentences, of which fifty are said."""
    monkeypatch.setattr(sources, "MOST", 60)
    (tmp_path / "hosts.txt").write_text("no host\n" * 1000)

    found = read(tmp_path, FileSources(Path("hosts.txt")))

    assert found.problems[0].endswith("hosts.txt has more than 60 entries that name no host")
    assert found.problems[-1] == "and 11 more of the kind"
