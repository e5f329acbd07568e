"""Which dataset a channel belongs to: the names that Elastic's own integrations and rules use (sinks.md 2.1).

Kafka topics and Elasticsearch data streams are named after them. It knows channels, and no sink.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator

FORWARDED = "windows.forwarded"
"""Every channel that has no dataset of its own."""
LONGEST = 100
"""Bytes of a dataset or namespace that Elasticsearch accepts."""
REMEMBERED = 1024
"""Channels: a Windows machine has about 1,200, and few are subscribed to. Sources choose their names."""

_OF_CHANNELS = {
    "security": "system.security",
    "system": "system.system",
    "application": "system.application",
    "microsoft-windows-sysmon/operational": "windows.sysmon_operational",
    "windows powershell": "windows.powershell",
    "microsoft-windows-powershell/operational": "windows.powershell_operational",
    "powershellcore/operational": "windows.powershell_operational",
    "microsoft-windows-windows defender/operational": "windows.windows_defender",
    "microsoft-windows-applocker/exe and dll": "windows.applocker_exe_and_dll",
    "microsoft-windows-applocker/msi and script": "windows.applocker_msi_and_script",
    "microsoft-windows-applocker/packaged app-deployment": "windows.applocker_packaged_app_deployment",
    "microsoft-windows-applocker/packaged app-execution": "windows.applocker_packaged_app_execution",
}
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]*", re.ASCII)


def stream_part(text: str) -> str:
    """*text*, when it can be a dataset or a namespace. Raises ``ValueError`` with a sentence."""
    if not _NAME.fullmatch(text) or len(text) > LONGEST:
        raise ValueError(
            f'"{text}" is no part of a data stream\'s name; use up to {LONGEST} of a-z, 0-9, "_" and ".",'
            ' beginning with no "."'
        )
    return text


StreamPart = Annotated[str, AfterValidator(stream_part)]
DatasetsByChannel = dict[str, StreamPart]
"""The setting ``datasets``: channel (without regard to case) -> dataset, before the built-in table."""


def datasets(own: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """A function from a channel's name to its dataset; *own* comes before the built-in table."""
    table = _OF_CHANNELS | {channel.lower(): dataset for channel, dataset in (own or {}).items()}

    @functools.lru_cache(maxsize=REMEMBERED)
    def dataset(channel: str) -> str:
        return table.get(channel.lower(), FORWARDED)

    return dataset


def known_datasets(own: Mapping[str, str] | None = None) -> list[str]:
    """Every dataset that an event can get, sorted: what ``wef setup`` makes ready."""
    return sorted({*_OF_CHANNELS.values(), *(own or {}).values(), FORWARDED})


def module_of(dataset: str) -> str:
    """``event.module``: what stands before the first dot."""
    return dataset.partition(".")[0]
