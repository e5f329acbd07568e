"""The settings of pull: who we are where we call (``[credentials.NAME]``), and how we call (``[pull]``).

What the words mean for a proof is decided by ``auth.credentials``; here is only what a file may say.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from collector.config.paths import FilePath, parse_path_text
from collector.config.secrets import Secret
from collector.config.tables import Settings
from collector.config.units import Duration, Size

Mechanism = Literal["kerberos", "negotiate", "certificate", "none"]
BUILT = ("kerberos", "negotiate", "certificate", "none")
LATER = ("ntlm", "basic", "digest", "credssp")
"""Known by name, and not built (contract.md 1.3)."""


def _cache(value: object, info: ValidationInfo) -> object:
    """A file is relative to collector.toml, as all are; a name with a kind before it stays."""
    if not isinstance(value, str) or _KIND.match(value):
        return value
    return parse_path_text(value, info)


_KIND = re.compile(r"[A-Z]+:")  # FILE: DIR: KCM: KEYRING: MEMORY:
_PREFIX = re.compile(r"\w+(?:/\w+)*", re.ASCII)
CacheName = Annotated[str, BeforeValidator(_cache)]


class CredentialsSettings(Settings):
    """One ``[credentials.NAME]`` (contract.md 1.3)."""

    mechanism: Mechanism
    principal: str | None = None
    keytab: FilePath | None = None
    ccache: CacheName | None = None
    """A ticket cache: a file, or a name such as "FILE:/tmp/krb5cc_0" or "KCM:"."""
    username: str | None = None
    password: Secret | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    ca: FilePath | None = None
    trusted_hosts: list[str] = Field(default_factory=list)
    """WinRM's TrustedHosts: globs, or "<local>"; of these hosts no proof is asked."""
    allow_unencrypted: bool = False
    """WinRM's AllowUnencrypted: bodies in clear over http where the session can seal nothing."""
    allow_rc4: bool = False
    service: Literal["HTTP", "HOST", "WSMAN"] = "HTTP"
    """First part of the service principal name that tickets are asked for."""

    @field_validator("mechanism", mode="before")
    @classmethod
    def _built(cls, value: object) -> object:
        if isinstance(value, str) and value in LATER:
            raise ValueError(f'"{value}" is not available in this version; available are: {", ".join(BUILT)}')
        return value


class PullSettings(Settings):
    """``[pull]``: all conversations with sources together."""

    network_delay: Annotated[Duration, Field(ge=0.5)] = 5.0
    """WinRM's NetworkDelayms: added to every time-out for the way there and back. Its default and its least value."""
    url_prefix: str = "wsman"
    """WinRM's URLPrefix, and the characters that it allows."""
    http_port: Annotated[int, Field(ge=1, le=65535)] = 5985
    """WinRM's DefaultPorts/HTTP."""
    https_port: Annotated[int, Field(ge=1, le=65535)] = 5986
    """WinRM's DefaultPorts/HTTPS."""
    conversations: Annotated[int, Field(ge=1)] = 5_000
    """Sources times subscriptions; each is one connection. What is more waits, and is said."""
    connecting: Annotated[int, Field(ge=1)] = 64
    """Conversations that are begun at the same moment: names, handshakes, tickets. The others wait for a place."""
    connect_time: Annotated[Duration, Field(gt=0)] = 10.0
    """For the name, for TCP and for TLS each; Linux has sent a SYN at 0, 1, 3 and 7 s by then."""
    answers_size: Annotated[Size, Field(ge=2**20)] = 256 * 2**20
    """All answers that are being read or are not safe yet, together: 500 full envelopes, or 16 of the largest answers.
    More wait unread at their sources."""
    answer_size: Annotated[Size, Field(ge=8192)] = 16 * 2**20
    """32 times the envelope we ask for (512,000 bytes)."""
    max_items: Annotated[int, Field(ge=1)] = 32_000
    """MaxElements of a Pull; Windows allows 32,000 (MaxBatchItems)."""
    notify: str | None = None
    """For type push: the name of the listener that sources deliver to. None: the only one that others can reach."""

    @field_validator("url_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if _PREFIX.fullmatch(value) is None:
            raise ValueError(f'"{value}" is no URL prefix; write letters, digits, _ and / between them, like "wsman"')
        return value
