"""Who there is in a fleet: its sources, what they will log, and what they remember.

It makes them of the options; it talks to nobody and waits for nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from collector.clock import Clock
from collector.errors import OperatorError
from collector.simulate.charset import Charset
from collector.simulate.delivery import target_of
from collector.simulate.evtx_file import read_evtx
from collector.simulate.feed import Fed, dealt, read_lines
from collector.simulate.generator import Machine, fleet_names
from collector.simulate.happenings import Happening, from_file, happen, made_up
from collector.simulate.log import EventLog
from collector.simulate.source import Nature, Source
from collector.wsman.messages import Offer
from collector.wsman.requests import Speaker, write_events

USAGE = 64
MECHANISMS = ("none", "certificate", "kerberos", "negotiate")
MACHINES = 10
"""Sources of a fleet for which nobody said how many."""
RECORDS, FEWEST_RECORDS = 1_000_000, 1_000
"""Made-up records that all logs of a fleet hold together (2 GB at worst), and each log at least."""
GUID = f"uuid:{uuid.UUID(int=0)}"  # as long as every other


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What ``wef simulate`` may be told (contract.md 6). Times in seconds, *rate* in events/s of the whole fleet.

    *mechanism* is none, certificate, kerberos or negotiate (None: certificate with *cert*, else none); *keytab* and
    *principal* are patterns for ``Principals``. *events* is a file for ``feed``, *evtx* one for ``evtx_file``; without
    either the sources make up their own.
    *sources* None: each Computer of the file, or ten. *ca*, *cert* and *key* are PEM files, ``{source}`` in
    them is the source's name. *history* is how many events each source has logged before its first
    subscription. *log_size* is how many records a source's log holds when it makes them up (None: its part of
    RECORDS); a file is kept whole. *oversized* is the share of made-up events that no envelope can hold,
    *reboots* and *crashes* are counts for the whole run, *away* is how long a machine is down then.
    """

    url: str
    sources: int | None = None
    events: Path | None = None
    evtx: Path | None = None
    rate: float | None = None
    duration: float | None = None
    charset: str = "utf-16"
    compression: str = "offer"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    mechanism: str | None = None
    keytab: str | None = None
    principal: str | None = None
    channel_default: str = "Application"
    refresh: float = 60.0
    retry_interval: float | None = None
    give_up: float = 60.0
    timeout: float = 60.0
    seed: int = 1
    history: int = 0
    log_size: int | None = None
    greets: bool = True
    oversized: float = 0.0
    reboots: int = 0
    crashes: int = 0
    away: float = 1.0

    def __post_init__(self) -> None:
        if self.events is not None and self.evtx is not None:
            raise OperatorError(
                "--events and --evtx: the events come from one file; give one of them.", exit_code=USAGE
            )
        if self.reads_file and self.oversized:
            raise OperatorError("--oversized is for made-up events; leave it out with a file.", exit_code=USAGE)
        if self.mechanism == "certificate" and self.cert is None:
            raise OperatorError("--mechanism certificate: there is no --cert; give the PEM file.", exit_code=USAGE)
        if self.cert is not None and self.mechanism not in (None, "certificate"):
            raise OperatorError(
                f"--cert and --mechanism {self.mechanism}: a source has one identity; leave one of them out.",
                exit_code=USAGE,
            )
        if not self.shows_tickets and (self.keytab or self.principal):
            raise OperatorError(
                "--keytab and --principal are for --mechanism kerberos or negotiate; give one of these.",
                exit_code=USAGE,
            )

    @property
    def shows_tickets(self) -> bool:
        return self.mechanism in ("kerberos", "negotiate")

    @property
    def reads_file(self) -> bool:
        return self.events is not None or self.evtx is not None


class Identities(Protocol):
    """What the sources of a fleet show of themselves."""

    def names(self, made_up: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """(name, role) of each source: *made_up*, unless the files that are there have other names."""


class Population:
    """The *sources* of a fleet by folded name, and what happens on them.

    Raises ``OperatorError`` as ``run_fleet`` says.
    """

    def __init__(self, options: FleetOptions, identities: Identities, charset: Charset, clock: Clock) -> None:
        self.sources: dict[str, Source] = {}
        self._options = options
        self._charset = charset
        self._clock = clock
        self._machines: dict[str, Machine] = {}
        self._file: list[Fed] = []
        if options.reads_file:
            self._read(identities)
        else:
            self._make_up(identities)

    @property
    def total(self) -> int | None:
        """How many events there will be; None: nobody knows."""
        return len(self._file) if self._options.reads_file else None

    @property
    def rate(self) -> float | None:
        """Events/s of the whole fleet; None: at once."""
        return self._options.rate or (None if self._options.reads_file else float(len(self._machines) or 1))

    def happenings(self) -> Iterator[Happening]:
        """What will happen, in its order: the file's events, or made-up ones without end."""
        logs = {name: source.log for name, source in self.sources.items()}
        if self._options.reads_file:
            return from_file(self._file, logs)
        return made_up(self._machines, logs, self._clock)

    def _make_up(self, identities: Identities) -> None:
        options = self._options
        names = identities.names(fleet_names(options.sources or MACHINES))
        capacity = options.log_size or max(FEWEST_RECORDS, RECORDS // len(names))
        for name, role in names:
            self._machines[name.lower()] = Machine(name, role, options.seed, options.oversized)
            self._add(name, capacity)

    def _read(self, identities: Identities) -> None:
        options = self._options
        names = [name for name, _ in identities.names(fleet_names(options.sources or 0))]
        self._file = list(dealt(self._events(), names, options.channel_default))
        for name in names or [fed.source for fed in self._file]:
            self._add(name, None)

    def _events(self) -> Iterator[str]:
        if self._options.evtx is not None:
            return read_evtx(self._options.evtx)
        assert self._options.events is not None
        return read_lines(self._options.events)

    def _add(self, name: str, capacity: int | None) -> None:
        """One source; names that differ in case only are one machine, as everywhere in Windows."""
        folded = name.lower()
        if folded not in self.sources:
            nature = Nature(self._options.greets, self._charset.size, partial(self._frame, name))
            self.sources[folded] = Source(name, EventLog(name, capacity), nature, lambda: self._remember(folded))

    def _remember(self, name: str) -> None:
        """What a made-up machine had logged before anybody subscribed to it."""
        for _ in range(self._options.history if name in self._machines else 0):
            happen(self._machines[name], self.sources[name].log, self._clock)

    def _frame(self, source: str, offer: Offer) -> int:
        """Bytes of an Events envelope without its events and its bookmark's rows."""
        speaker = Speaker(source, session_id=GUID, locale=offer.locale or "en-US")
        text = write_events(speaker, target_of(offer), (), "", message_id=GUID, operation_id=GUID)
        return self._charset.size(text) + 2  # and the byte order mark
