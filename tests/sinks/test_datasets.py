"""Dashboards and detection rules look for events under the names that Elastic chose."""

from __future__ import annotations

import pytest

from collector.sinks.datasets import FORWARDED, datasets, known_datasets, module_of, stream_part


def test_a_channel_finds_its_dataset_whatever_its_case() -> None:
    """Channels come in the spelling of the provider's manifest, which differs between Windows versions."""
    dataset = datasets()

    assert dataset("Security") == dataset("SECURITY") == "system.security"
    assert dataset("PowerShellCore/Operational") == "windows.powershell_operational"
    assert dataset("Microsoft-Windows-AppLocker/EXE and DLL") == "windows.applocker_exe_and_dll"


def test_a_channel_nobody_named_is_forwarded() -> None:
    """There are over a thousand channels; none may be left without a stream."""
    assert datasets()("Vendor-Thing/Operational") == FORWARDED
    assert datasets()("") == FORWARDED


def test_the_operator_may_route_channels_otherwise() -> None:
    """A site that keeps DNS apart says so once, and setup knows that stream too."""
    own = {"DNS Server": "windows.dns"}

    assert datasets(own)("dns server") == "windows.dns"
    assert datasets(own)("Security") == "system.security"
    assert "windows.dns" in known_datasets(own)
    assert "windows.dns" not in known_datasets()


def test_every_built_in_dataset_is_a_good_part_of_a_name() -> None:
    """Elasticsearch refuses a stream with a hyphen in its dataset, at the first event of that channel."""
    for name in known_datasets():
        assert stream_part(name) == name
        assert module_of(name) in {"system", "windows"}


@pytest.mark.parametrize("text", ["", "a-b", "Upper", ".dot", "a/b", "a" * 101, "a b", "é", "a\n"])
def test_what_elasticsearch_would_refuse_is_refused_at_once(text: str) -> None:
    """A name that is wrong stops the start, not the first batch."""
    with pytest.raises(ValueError, match="data stream"):
        stream_part(text)
