"""Which stream a record goes to, and what its documents say."""

from __future__ import annotations

from collector.sinks.elasticsearch.streams import Streams


def test_the_channel_decides_and_the_subscription_has_its_namespace() -> None:
    """sinks.md 2.1; case of a channel does not matter."""
    streams = Streams("logs-{dataset}-{namespace}", "default", {"servers": "dmz"}, {"Vendor/Log": "vendor.log"})

    assert streams.of("everything")("SECURITY").stream == "logs-system.security-default"
    assert streams.of("servers")("vendor/log").stream == "logs-vendor.log-dmz"
    assert streams.of("servers")("Whatever").stream == "logs-windows.forwarded-dmz"


def test_a_target_is_made_once() -> None:
    """Nothing is built for each record."""
    target = Streams("logs-{dataset}-{namespace}", "default").of("x")

    assert target("Security") is target("security")


def test_only_names_of_the_scheme_are_said_in_documents() -> None:
    """What has another name has other mappings."""
    assert Streams("windows-{dataset}-{namespace}", "d").of("x")("Security").place is not None
    for template in (
        "winlogbeat-8.19.0",
        "logs-{dataset}",
        "my-logs-{dataset}-{namespace}",
        "logs-{namespace}-{dataset}",
    ):
        assert Streams(template, "d").of("x")("Security").place is None


def test_dropped_fields_stay_dropped() -> None:
    """drop_fields is the operator's word."""
    place = (
        Streams("logs-{dataset}-{namespace}", "d", dropped=["data_stream", "event.module"]).of("x")("Security").place
    )

    assert place is not None
    assert place.stream == {}
    assert place.event == {"dataset": "system.security"}
