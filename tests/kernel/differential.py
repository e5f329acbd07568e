"""The compiled kernel held against its specification: one text in, a sentence out when they differ.

The rule is one-sided. What the kernel leaves to the reference is fine, however much it is; what it
takes must be what the reference says, byte for byte. Knows how to break texts; draws no chances itself.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from collector.formats.records import to_json
from collector.normalize import Options, default_rules, harvest
from collector.normalize.spelling import Spelling
from tests.normalize.samples import BOOKMARK_EVENT, CLASSIC, LOGON_DATA, RENDERING, batch, event

REFERENCE = Options(rules=default_rules())
"""Rules that were named are not what the kernel was made for, so the reference path works, by the same rules."""

WITNESSES = Path(__file__).parent / "witnesses"
"""Texts that kernel and reference once disagreed on; each file holds one as a JSON string."""

NESTED = (
    "<UserData><RuleAndFileData xmlns='http://schemas.microsoft.com/x' xmlns:n='urn'>"
    "<PolicyName Kind='a'>EXE</PolicyName>"
    "<Files xmlns='Event_NS'><File Path='C:\\a.exe' Name='one'/><File Path='C:\\b.exe'><x>3</x></File>"
    "<File><Deep><Deeper><Deepest at='5'>six</Deepest></Deeper></Deep></File></Files><Data>seven</Data>"
    "<a.b>8</a.b><PolicyName>again</PolicyName></RuleAndFileData></UserData>"
)
FLAT = (
    "<UserData><CbsPackageChangeState xmlns='http://manifests.microsoft.com/win/2004/08/windows/setup_provider'>"
    "<PackageIdentifier>KB5005463</PackageIdentifier><ErrorCode>0x0</ErrorCode><Client/></CbsPackageChangeState></UserData>"
)
ODD = (
    "<EventData Name='X'><Data Name=' Key.Length '>1</Data><Data Name='Straße'>&#x1F600;&lt;&amp;&quot;\\</Data>"
    "<Data Name='e'>a&#13;&#10;b&#13;\n\n</Data><Data Name='e'>2</Data><Data>\t</Data><Data Name='param9'>x</Data>"
    "<Binary>00FF</Binary></EventData>"
)
OWN = (
    event(), CLASSIC, BOOKMARK_EVENT, event(RENDERING), event(LOGON_DATA + RENDERING), event(NESTED), event(FLAT),
    event(ODD), event("<EventData/>", computer="Größe.example", channel="Anwendung"), event(record=""),
    event("", time="2026-03-04T05:06:01Z"), event(ODD + NESTED + RENDERING), event(NESTED.replace("<x>3", "two<x>3")),
)  # fmt: skip
"""Every construct that the kernel takes, in events of our own; it leaves those of LEFT."""

LEFT = (2, 12)
"""Positions in OWN: a section of its own, and a text beside an element."""

PIECES = (
    "<", ">", "&", "&amp;", "&lt;", "&#10;", "&#13;", "&#x41;", "&#0;", "&bogus;", "'", '"', "/", "</", "/>", "<Data>",
    "</Data>", "<Data Name='a'>", " ", "\n", "\r\n", "\r", "\t", "\0", "\x05", "]]>", "<![CDATA[", "<!--x-->", "<?pi?>",
    " xmlns='u'", " xmlns:a='u'", "é", "\ufffe", "\U0001f600", "=", "Name", "<Keyword>", "0x", "-1", "+5", "\u0661",
    "<x/>", "<x>1</x>", "", "\x7f", "\x85", "\ud800", ".", ":", "0", "9", "18446744073709551616",
    "&#xD800;", "&#x10FFFF;",
    "<Binary>", "<EventData>", "</EventData>", "</System>", "<UserData><a b='c'>d</a></UserData>", "xml_name", "\u00a0",
    " Name='x'", "<Message>&#13;\n</Message>", "<Opcode/>", "_", "param1", "<Data>1</Data>", "\u3000", "&#x20;",
)  # fmt: skip
"""What is put into texts (performance.md 12): markup, references, line ends, and what XML or UTF-8 forbids."""


class Judge:
    """Holds one *kernel* against the reference."""

    def __init__(self, kernel: ModuleType) -> None:
        self.reaper: Any = kernel.Reaper(Spelling(default_rules()))

    def taken(self, text: str) -> bool:
        return self.reaper.reap([text]).ids[0] is not None

    def difference(self, text: str) -> str:
        """How the two differ on *text*; "" when the kernel left it, or they agree."""
        reaped = self.reaper.reap([text])
        if reaped.ids[0] is None:
            return ""
        expected = harvest(batch(text), REFERENCE)
        if len(expected) != 1 or expected.flaws:
            return f"the reference finds {len(expected)} rows and these flaws: {dict(expected.flaws)}"
        for what, ours, theirs in (
            ("document", reaped.document(0), to_json(expected.fields()[0])),
            ("id", reaped.ids, expected.ids),
            ("key", [(type(key), *key) for key in reaped.keys], [(type(key), *key) for key in expected.keys]),
        ):
            if ours != theirs:
                return f"the {what} is {ours!r}, and should be {theirs!r}"
        return ""


def mutant(text: str, chance: random.Random) -> str:
    """*text* with one to three places overwritten, or a stretch of it repeated."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text) + 1)
        if chance.random() < 0.1:
            end = place + chance.choice((1, 8, 40, 200))
            text = text[:end] + text[place:end] + text[end:]
        else:
            text = text[:place] + chance.choice(PIECES) + text[place + chance.choice((0, 1, 2, 8)) :]
    return text


def real_events(folder: Path) -> Iterator[str]:
    """The XML of every event in the files of *folder*, those of the golden pairs too."""
    for file in sorted([*folder.glob("events/*.jsonl.gz"), *folder.glob("golden/*.jsonl.gz")]):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line)["xml"] for line in lines)


def witnesses() -> Sequence[str]:
    return [json.loads(file.read_bytes()) for file in sorted(WITNESSES.glob("*.json"))]
