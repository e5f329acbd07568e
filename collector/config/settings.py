"""The settings that belong to no other room, and the keys that every sink takes.

A sink carries its own Settings class beside it; whoever loads hands the table of them to
``load``. What needs the file's folder or the environment (paths, secrets) finds both in
the validation context. Nothing here reads the environment at import.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from collector.config.explain import Problem, problems_error, quoted, unknown_key
from collector.config.paths import FilePath
from collector.config.pull import CredentialsSettings, PullSettings
from collector.config.tables import Settings as Settings
from collector.config.units import Duration, Size

Transport = Literal["http", "https"]
Port = Annotated[int, Field(ge=0, le=65535)]
AnyMechanism = Literal["kerberos", "negotiate", "certificate", "none", "basic", "credssp"]
BUILT = ("kerberos", "negotiate", "certificate", "none")
"""The mechanisms that this version can do; the others are known by name (contract.md 1)."""
WSMAN_PORTS: dict[Transport, int] = {"http": 5985, "https": 5986}
"""Registered for WS-Management, and what Windows uses (protocol.md 2.1)."""
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
"""Labels of a host name; Windows takes underscores too."""


# What every sink takes ---------------------------------------------------------------------------------------------

MATCH_KEYS = ("subscription", "channel", "provider", "event_id", "level", "computer", "source")
_NUMERIC = ("event_id", "level")
_NUMBERS = re.compile(r"\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*", re.ASCII)


def _checked_match(value: object) -> object:
    """A match table as it was written, when every key and value of it means something (contract.md 1.1)."""
    if not isinstance(value, dict):
        raise problems_error([((), 'this is no table; write for example { channel = "Security" }.')])
    problems = [((str(key),), sentence) for key in value if (sentence := _match_problem(str(key), value[key]))]
    if problems:
        raise problems_error(problems)
    return value


def _match_problem(key: str, value: object) -> str:
    if key not in MATCH_KEYS:
        return unknown_key(key, MATCH_KEYS)
    numeric = key in _NUMERIC
    wanted = 'a number, a range such as "4720-4729", or a list of them' if numeric else "a text or a list of texts"
    items = value if isinstance(value, list) else [value]
    if not items:
        return f"the list is empty and would take nothing; give {wanted}, or leave the key out."
    for item in items:
        if not (_counting(item) if numeric else isinstance(item, str) and item):
            return f"{quoted(item)} is not {wanted}."
    return ""


def _counting(item: object) -> bool:
    """Whether it is a number or a range that begins before it ends, as routing.match understands them."""
    if isinstance(item, str):
        found = _NUMBERS.fullmatch(item)
        return found is not None and int(found[1]) <= int(found[2] or found[1])
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


Match = Annotated[dict[str, Any], BeforeValidator(_checked_match)]


class SinkSettings(Settings):
    """What every sink takes (contract.md 1.1)."""

    type: str
    required: bool = True
    spool: Size = 4 * 2**30
    patience: Duration = 5.0
    match: Match = Field(default_factory=dict)
    exclude: Match | None = None
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    drop_fields: list[str] = Field(default_factory=list)

    @field_validator("exclude")
    @classmethod
    def _names_something(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and not value:
            raise ValueError("it is empty, which would leave out every event; name what to leave out, or remove it")
        return value

    @property
    def takes_everything(self) -> bool:
        """No event passes this sink by."""
        return not self.match and not self.exclude and self.sample == 1.0


# Listeners ---------------------------------------------------------------------------------------------------------


class ListenerSettings(Settings):
    """One ``[listeners.NAME]`` (contract.md 1). *port* 0: any free one; *address* ``*``: IPv4 and IPv6."""

    transport: Transport
    address: str | list[str] = "*"
    port: Port = -1  # replaced below by the transport's own
    hostname: str | None = None
    public_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    authentication: list[AnyMechanism] = Field(default_factory=list)
    certificate: FilePath | None = None
    key: FilePath | None = None
    client_ca: list[FilePath] = Field(default_factory=list)
    crl: list[FilePath] = Field(default_factory=list)
    keytab: FilePath | None = None
    cbt_hardening: Literal["none", "relaxed", "strict"] = "relaxed"
    """Channel binding of Kerberos inside TLS, by Windows' names (CbtHardeningLevel); relaxed is Windows' default."""
    allow_rc4: bool = False
    """Whether Kerberos sessions with RC4 keys are taken; RC4 has been broken for years."""
    proxy_protocol: list[str] = Field(default_factory=list)
    """Addresses and networks whose connections begin with a PROXY protocol header; nobody else's may."""

    @model_validator(mode="before")
    @classmethod
    def _by_transport(cls, values: object) -> object:
        """The defaults that hang on the transport."""
        if isinstance(values, dict) and values.get("transport") in ("http", "https"):
            values = {"port": WSMAN_PORTS[values["transport"]], **values}
            if values["transport"] == "https":
                values = {"authentication": ["certificate"], **values}
        return values

    @field_validator("hostname")
    @classmethod
    def _bare(cls, value: str | None) -> str | None:
        if value is not None and not (_HOST.fullmatch(value) or _is_address(value)):
            raise ValueError(
                f'"{value}" is no host; write the bare name, such as "wec.corp.example", without port or path'
            )
        return value

    @field_validator("address", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise ValueError(f'{value!r} is neither an address, a list of them, nor "*"')
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address,) if isinstance(self.address, str) else tuple(self.address)

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return all(_loopback(address) for address in self.addresses)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._address_problems(), *self._mechanism_problems(), *self._file_problems()]
        problems.extend(_proxy_problems(self.proxy_protocol))
        if problems:
            raise problems_error(problems)
        return self

    def _address_problems(self) -> list[Problem]:
        if not self.addresses:
            return [(("address",), 'the list is empty; give at least one address, or "*" for all.')]
        return [
            (("address",), f'"{address}" is no address; write an IPv4 or IPv6 address of this machine, or "*".')
            for address in self.addresses
            if address not in ("*", "localhost") and not _is_address(address)
        ]

    def _mechanism_problems(self) -> list[Problem]:
        at = ("authentication",)
        chosen = list(self.authentication)
        if not chosen:
            return [(at, 'the list is empty or missing; http has no default. Give for example ["none"] on loopback.')]
        problems: list[Problem] = [
            (at, f'"{word}" is not available in this version; available are: {", ".join(BUILT)}.')
            for word in chosen
            if word not in BUILT
        ]
        problems.extend(
            (at, f'"{word}" is there twice.') for word in sorted({w for w in chosen if chosen.count(w) > 1})
        )
        if "none" in chosen and (self.transport != "http" or not self.loopback):
            problems.append(
                (at, '"none" proves nobody, so it needs transport = "http" and address = "127.0.0.1" or "::1".')
            )
        if "certificate" in chosen and self.transport == "http":
            problems.append((at, '"certificate" needs transport = "https": plain HTTP shows no certificates.'))
        return [*problems, *self._kerberos_problems()]

    def _kerberos_problems(self) -> list[Problem]:
        chosen = [word for word in self.authentication if word in ("kerberos", "negotiate")]
        problems: list[Problem] = []
        if chosen and self.keytab is None:
            said = f'authentication by {chosen[0]} needs it: the keys of HTTP/<the name in the policy>, "http.keytab".'
            problems.append((("keytab",), said))
        if not chosen and self.keytab is not None:
            said = 'nobody uses it; remove it, or add "kerberos" or "negotiate" to authentication.'
            problems.append((("keytab",), said))
        if self.cbt_hardening == "strict" and not (chosen and self.transport == "https"):
            said = '"strict" binds Kerberos to TLS: it needs transport = "https" and "kerberos" or "negotiate".'
            problems.append((("cbt_hardening",), said))
        return problems

    def _file_problems(self) -> list[Problem]:
        problems: list[Problem] = []
        if self.transport == "https":
            needed = ("certificate", "key", *(("client_ca",) if "certificate" in self.authentication else ()))
            said = {
                "certificate": 'https needs it: a PEM file with the chain, such as "tls/server.pem".',
                "key": 'https needs it: the private key of the certificate, such as "tls/server.key".',
                "client_ca": "authentication by certificate needs it: the CAs that issue the sources' certificates.",
            }
            problems.extend(((name,), said[name]) for name in needed if not getattr(self, name))
        else:
            problems.extend(
                ((name,), 'plain http does not use it; remove it, or set transport = "https".')
                for name in ("certificate", "key", "client_ca", "crl")
                if getattr(self, name)
            )
        return problems


def _proxy_problems(written: list[str]) -> list[Problem]:
    """What is no address or network of a proxy: whom we believe says for everybody who they are."""
    problems: list[Problem] = []
    for row, text in enumerate(written):
        try:
            found = ipaddress.ip_network(text, strict=False)
        except ValueError:
            wanted = 'write the proxy\'s address, such as "10.0.0.5", or a network, such as "10.1.0.0/16"'
            problems.append((("proxy_protocol", row), f'"{text}" is no address and no network; {wanted}.'))
            continue
        if found.prefixlen == 0:
            said = f'"{text}" is everybody, and anybody could say that he is somebody else; name the proxies.'
            problems.append((("proxy_protocol", row), said))
        elif "/" in text and str(found.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
            problems.append((("proxy_protocol", row), f'"{text}" is no network but a host in one; write "{found}".'))
    return problems


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _loopback(text: str) -> bool:
    return text == "localhost" or (_is_address(text) and ipaddress.ip_address(text).is_loopback)


class Limits(Settings):
    """What one peer, and all of them, may ask of us. Sized for 10,000 sources with two subscriptions each."""

    connections: Annotated[int, Field(ge=1)] = 20_000
    """Windows holds one connection for each subscription: 10,000 sources x 2."""
    connections_per_address: Annotated[int, Field(ge=1)] = 5_000
    """A whole site may sit behind one address, but a quarter of all connections is the most that one may take."""
    header_size: Annotated[Size, Field(ge=1024)] = 128 * 2**10
    """Bytes of one header field. Windows' Kerberos tokens have up to 48,000 bytes (MaxTokenSize), other peers' up to
    65,536, and a third more as base64."""
    header_time: Annotated[Duration, Field(gt=0)] = 20.0
    """From the connection to the first complete header; Windows sends it at once."""
    body_size: Annotated[Size, Field(ge=8192)] = 16 * 2**20
    """32 times the envelope we offer (512,000 bytes): one event larger than that still fits as UTF-16."""
    bodies_size: Annotated[Size, Field(ge=2**20)] = 512 * 2**20
    """All bodies under way together, as bytes and as text: 500 full envelopes at once. More are told to come again."""
    body_time: Annotated[Duration, Field(gt=0)] = 60.0
    """The source's OperationTimeout (PT60.000S): after it nobody waits for our answer."""
    idle_time: Annotated[Duration, Field(gt=0)] = 3 * 3600.0
    """A quiet source is heard every heartbeat: the longest usual one is an hour (MinLatency), so three of them."""
    handshake_time: Annotated[Duration, Field(gt=0)] = 20.0
    """A TLS handshake takes three round trips; 20 s forgive a satellite link and starve a slow-loris."""
    decompressed_size: Annotated[Size, Field(ge=8192)] = 32 * 2**20
    """SLDC expands text two- to fourfold; what claims more than twice body_size is no event."""
    xml_depth: Annotated[int, Field(ge=32, le=250)] = 100
    """An Events envelope is 9 deep and UserData seldom 10; libxml2 itself ends at 256."""
    events_per_batch: Annotated[int, Field(ge=1)] = 50_000
    """The smallest event has about 400 bytes: 16 MiB cannot hold more."""
    quarantined_per_source: Annotated[int, Field(ge=1)] = 10_000
    """Letters of one source in quarantine, one for each event and sink: more than anybody looks through, and more than
    any envelope that we ask for holds (512,000 bytes, 1250 of the smallest events) to five sinks."""
    quarantined_size_per_source: Annotated[Size, Field(ge=2**20)] = 64 * 2**20
    """Their records: 10,000 of twice the usual size (3 KB). Without it they could have a whole body each."""


# The rest ----------------------------------------------------------------------------------------------------------


class SubscriptionsSettings(Settings):
    """Where the subscriptions are. *revision* replaces the git commit in every event."""

    path: FilePath = Field(default=Path("subscriptions"), validate_default=True)
    revision: str | None = None

    @field_validator("revision")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value is not None and not (0 < len(value) <= 128 and value.isprintable()):
            raise ValueError("the revision must be 1 to 128 printable characters")
        return value


class MonitoringSettings(Settings):
    """Where /metrics, /healthz and /readyz are."""

    address: str = "127.0.0.1"
    port: Port = 9598


class LogSettings(Settings):
    """How the log on stderr looks. ``auto``: console on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console", "auto"] = "auto"


class CollectorSettings(Settings):
    """The whole of collector.toml. *sinks* hold each sink's own settings class."""

    state: FilePath = Field(default=Path("state"), validate_default=True)
    min_free: Size = 2**30
    drain: Annotated[Duration, Field(gt=0)] = 20.0
    """Seconds that SIGTERM leaves for batches under way; systemd kills after 90."""
    name: str | None = None
    """This collector's name in documents; None: the machine's host name."""
    subscriptions: SubscriptionsSettings = Field(default_factory=SubscriptionsSettings)
    listeners: dict[str, ListenerSettings] = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits)
    sinks: dict[str, SinkSettings] = Field(default_factory=dict)
    credentials: dict[str, CredentialsSettings] = Field(default_factory=dict)
    pull: PullSettings = Field(default_factory=PullSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    log: LogSettings = Field(default_factory=LogSettings)
