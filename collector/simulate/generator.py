"""What a pretend machine has to say: events in the mix of its role, in the forwarder's exact byte style.

``mix.toml`` lists the kinds of events; this file makes up their values from a seed, so that a run can
be repeated. It is handed the time and knows no log, no network and no real person or company.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from random import Random
from typing import Any

ROLES = ("workstation", "server", "controller")
_SHARES = ((16, "workstation", "ws"), (3, "server", "srv"), (1, "controller", "dc"))  # of twenty machines
_AUDIT_FAILURE, _AUDIT_SUCCESS, _CLASSIC = 0x10000000000000, 0x20000000000000, 0x80000000000000
_LEVELS = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"}
_PROCESSES = {"lsass": (636, 700), "system": (4, 88), "services": (616, 5120), "sysmon": (2804, 3660)}
_IMAGES = (
    r"C:\Windows\System32\svchost.exe", r"C:\Windows\System32\cmd.exe", r"C:\Windows\System32\taskhostw.exe",
    r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", r"C:\Windows\System32\conhost.exe",
    r"C:\Program Files\Office\WINWORD.EXE", r"C:\Program Files\Office\OUTLOOK.EXE", r"C:\Tools\backup.exe",
    r"C:\Program Files\Browser\browser.exe", r"C:\Windows\explorer.exe",
)  # fmt: skip
_SERVICES = ("Windows Update", "Background Intelligent Transfer Service", "Print Spooler", "Windows Installer")
_CMDLETS = ("Get-ChildItem", "Get-Process", "Import-Module", "Test-Path", "Get-CimInstance", "Out-Default")
_SCRIPTS = (
    "Get-ChildItem -Path $env:TEMP | Where-Object { $_.Length -gt 1MB }",
    "function prompt {\r\n    \"PS $($executionContext.SessionState.Path.CurrentLocation)> \"\r\n}",
    "{ Set-StrictMode -Version 1; $_.PSMessageDetails }",
    "if ($a -lt 3 -and $b -gt 7) { Write-Output '<done> & gone' }",
)  # fmt: skip
_DOMAINS = (
    "intranet.corp.example",
    "mail.corp.example",
    "files.corp.example",
    "updates.example.net",
    "cdn.example.org",
)
_ACCOUNTS = ("svc-backup", "svc-deploy", "svc-monitor", "administrator")
_CORP_SID = "S-1-5-21-1004336348-1177238915-682003330"

BULK = f"<Data Name='Bulk'>{'x' * 600_000}</Data>"
"""What makes an event oversized in every charset: collectors offer envelopes of 512000 bytes. All share this one."""

FACTS: dict[str, Callable[[Random], str]] = {
    "activity": lambda r: _guid(r),
    "account": lambda r: r.choice(_ACCOUNTS),
    "cmdlet": lambda r: r.choice(_CMDLETS),
    "domain": lambda r: r.choice(_DOMAINS),
    "far_ip": lambda r: f"198.51.100.{r.randrange(1, 255)}",
    "guid": lambda r: _guid(r),
    "hex_parent_pid": lambda r: f"{r.randrange(64, 4000) * 4:#x}",
    "ip": lambda r: f"10.{r.randrange(4)}.{r.randrange(256)}.{r.randrange(1, 255)}",
    "logon": lambda r: f"{r.randrange(0x10000, 0xFFFFFFF):#x}",
    "logon_guid": lambda r: _guid(r),
    "logon_type": lambda r: r.choice(("3", "3", "3", "3", "5", "2", "7", "10")),
    "parent": lambda r: r.choice(_IMAGES),
    "parent_guid": lambda r: _guid(r),
    "parent_pid": lambda r: str(r.randrange(64, 4000) * 4),
    "pid": lambda r: str(r.randrange(64, 4000) * 4),
    "hex_pid": lambda r: f"{r.randrange(64, 4000) * 4:#x}",
    "port": lambda r: str(r.randrange(49152, 65536)),
    "script": lambda r: r.choice(_SCRIPTS),
    "service": lambda r: r.choice(_SERVICES),
    "service_state": lambda r: r.choice(("running", "stopped")),
    "sha256": lambda r: f"{r.getrandbits(256):064X}",
    "small": lambda r: str(r.randrange(10, 99)),
    "sub_status": lambda r: r.choice(("0xc000006a", "0xc0000064", "0xc0000072")),
    "tid": lambda r: str(r.randrange(100, 3000) * 4),
    "user_number": lambda r: str(r.randrange(1, 400)),
    "workstation": lambda r: f"WS-{r.randrange(1, 400):04}",
    "image": lambda r: r.choice(_IMAGES),
}
"""The words that ``mix.toml`` may use, and how each is made up; some more follow from these (``_Facts``)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: whom it is common with (weights in the order of ROLES), and its spelling."""

    channel: str
    weights: tuple[int, int, int]
    process: str
    template: str
    rendering: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that happened and has no record number yet; *write* gives its XML for one."""

    channel: str
    write: Callable[[int], str]
    rendering: str
    bulk: str = ""


class Machine:
    """One computer of a *role* and its endless stream of events; the same *seed*, the same stream.

    *oversized* is the share of them that is larger than an envelope may be.
    """

    def __init__(self, name: str, role: str, seed: int, oversized: float = 0.0) -> None:
        self._oversized = oversized
        self._name = name
        self._random = Random(f"{seed}\0{name}")  # noqa: S311 - made-up events, no secret
        self._kinds = kinds()
        self._weights = [kind.weights[ROLES.index(role)] for kind in self._kinds]

    def happening(self, moment: datetime) -> Draft:
        """What the machine logs at *moment* (aware)."""
        kind = self._random.choices(self._kinds, self._weights)[0]
        facts = _Facts(self._random, self._name, moment, kind.process)

        def write(record_id: int) -> str:
            facts["record"] = str(record_id)
            return kind.template.format_map(facts)

        bulk = BULK if self._oversized and self._random.random() < self._oversized else ""
        return Draft(kind.channel, write, kind.rendering.format_map(facts), bulk)


def fleet_names(count: int) -> list[tuple[str, str]]:
    """(name, role) of *count* machines: of twenty, sixteen workstations, three servers, one controller."""
    pattern = [(role, short) for share, role, short in _SHARES for _ in range(share)]
    counts: dict[str, int] = {}
    names = []
    for number in range(count):
        # 7 and 20 share no divisor: every twenty in a row hold the whole mix, and small fleets are mixed too
        role, short = pattern[(number * 7 + 19) % len(pattern)]
        counts[short] = counts.get(short, 0) + 1
        names.append((f"{short}-{counts[short]:04}.corp.example", role))
    return names


@cache
def kinds() -> Sequence[Kind]:
    """Every kind of ``mix.toml``."""
    text = (files("collector.simulate") / "mix.toml").read_text("utf-8")
    return [_kind(stanza) for stanza in tomllib.loads(text)["event"]]


class _Facts(dict[str, str]):
    """The values of one event, made up when a template asks, and escaped as XML text."""

    def __init__(self, random: Random, host: str, moment: datetime, process: str) -> None:
        moment = moment.astimezone(UTC)
        machine = host.partition(".")[0].upper()
        super().__init__(
            host=escape(host, quote=False),
            machine=escape(machine, quote=False) + "$",
            time=f"{moment:%Y-%m-%dT%H:%M:%S.%f}{random.randrange(10)}Z",
            utc=f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}",
        )
        self._random = random
        pids = _PROCESSES.get(process)
        if pids:
            self["process"], self["thread"] = str(pids[0]), str(pids[1] + 4 * random.randrange(16))

    def __missing__(self, word: str) -> str:
        value = escape(self._made(word), quote=False)
        self[word] = value
        return value

    def _made(self, word: str) -> str:
        match word:
            case "user":
                return f"user{int(self['user_number']):03}"
            case "sid":  # the same account has the same SID everywhere
                return f"{_CORP_SID}-{1100 + int(self['user_number'])}"
            case "file":
                return self["image"].rpartition("\\")[2]
            case "command":
                return f'"{self["image"]}" /run {self["small"]}'
            case "process":
                return self["pid"]
            case "thread":
                return self["tid"]
            case _:
                return FACTS[word](self._random)


def _guid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _kind(stanza: dict[str, Any]) -> Kind:
    weights = stanza["weight"]
    return Kind(
        channel=stanza["channel"],
        weights=(weights[0], weights[1], weights[2]),
        process=stanza["process"],
        template=_template(stanza),
        rendering=_rendering(stanza),
    )


def _template(stanza: dict[str, Any]) -> str:
    """The event in the forwarder's byte style (normalization.md 3.1), its made-up values still in braces."""
    guid = f" Guid='{{{{{stanza['guid']}}}}}'" if "guid" in stanza else ""
    classic = f" EventSourceName='{stanza['source_name']}'" if "source_name" in stanza else ""
    qualifiers = f" Qualifiers='{stanza['qualifiers']}'" if "qualifiers" in stanza else ""
    version = f"<Version>{stanza['version']}</Version>" if "version" in stanza else ""  # classic providers have none
    activity = "<Correlation ActivityID='{{{activity}}}'/>" if stanza.get("activity") else "<Correlation/>"
    execution = "<Execution ProcessID='{process}' ThreadID='{thread}'/>" if stanza["process"] else ""
    security = f"<Security UserID='{stanza['security']}'/>" if "security" in stanza else "<Security/>"
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name='{stanza['provider']}'{guid}{classic}/><EventID{qualifiers}>{stanza['id']}</EventID>"
        f"{version}<Level>{stanza.get('level', 0)}</Level><Task>{stanza.get('task', 0)}</Task>"
        f"<Opcode>{stanza.get('opcode', 0)}</Opcode><Keywords>{stanza['keywords']}</Keywords>"
        "<TimeCreated SystemTime='{time}'/><EventRecordID>{record}</EventRecordID>"
        f"{activity}{execution}<Channel>{stanza['channel']}</Channel><Computer>{{host}}</Computer>{security}"
        f"</System><EventData>{''.join(_rows(stanza['data']))}</EventData></Event>"
    )


def _rows(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in pairs:
        yield (
            f"<Data Name='{name}'>{escape(value, quote=False)}</Data>"
            if name
            else f"<Data>{escape(value, quote=False)}</Data>"
        )


def _rendering(stanza: dict[str, Any]) -> str:
    """What a RenderedText subscription gets besides: the publisher's texts."""
    bits = int(stanza["keywords"], 16)
    words = [(_AUDIT_FAILURE, "Audit Failure"), (_AUDIT_SUCCESS, "Audit Success"), (_CLASSIC, "Classic")]
    keywords = "".join(f"<Keyword>{word}</Keyword>" for bit, word in words if bits & bit)
    return (
        f"<RenderingInfo Culture='en-US'><Message>{escape(stanza['message'], quote=False)}</Message>"
        f"<Level>{_LEVELS[stanza.get('level', 0)]}</Level><Task>{escape(stanza['task_text'], quote=False)}</Task>"
        f"<Opcode>{stanza.get('opcode_text', 'Info')}</Opcode><Channel>{stanza['channel']}</Channel>"
        f"<Provider>{stanza['provider']}</Provider><Keywords>{keywords}</Keywords></RenderingInfo>"
    )
