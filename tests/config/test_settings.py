"""What a listener may be, and the promises of the other tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from collector.auth.mechanisms import MECHANISMS
from collector.config.explain import explain, path_of
from collector.config.settings import BUILT, CollectorSettings, Limits, ListenerSettings, SinkSettings
from collector.routing.match import Taking

HTTPS: dict[str, Any] = {"transport": "https", "certificate": "s.pem", "key": "s.key", "client_ca": ["ca.pem"]}
HTTP: dict[str, Any] = {"transport": "http", "authentication": ["none"], "address": "127.0.0.1"}


def refused(**table: Any) -> dict[str, str]:
    """Key -> sentence, for a listener that is refused."""
    with pytest.raises(ValidationError) as caught:
        ListenerSettings.model_validate(table)
    return {path_of(where): sentence for where, sentence in explain(caught.value, ListenerSettings)}


def test_https_asks_for_certificates_unless_told_otherwise() -> None:
    """contract.md 1; and it takes Windows' own port."""
    listener = ListenerSettings.model_validate(HTTPS)

    assert listener.authentication == ["certificate"]
    assert listener.port == 5986
    assert listener.addresses == ("*",)


def test_http_must_say_who_may_come() -> None:
    """A listener that lets everybody in must be somebody's decision."""
    assert "http has no default" in refused(transport="http")["authentication"]
    assert ListenerSettings.model_validate(HTTP).port == 5985


@pytest.mark.parametrize("address", ["*", "0.0.0.0", "10.1.2.3", "::", ["127.0.0.1", "10.1.2.3"]])
def test_no_authentication_is_for_loopback_only(address: object) -> None:
    """Anybody on the network could write anybody's events."""
    assert "proves nobody" in refused(**{**HTTP, "address": address})["authentication"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "localhost", ["127.0.0.1", "::1"]])
def test_loopback_has_many_addresses(address: object) -> None:
    """All of them are this machine only."""
    assert ListenerSettings.model_validate({**HTTP, "address": address}).loopback


def test_no_authentication_is_not_for_https() -> None:
    """contract.md 1: none is for http on loopback."""
    assert "proves nobody" in refused(**{**HTTPS, "address": "127.0.0.1", "authentication": ["none"]})["authentication"]


@pytest.mark.parametrize("word", ["basic", "credssp"])
def test_a_mechanism_that_is_not_built_yet_is_named_as_such(word: str) -> None:
    """Not a typo, not a crash at the first source: a sentence at the start."""
    sentence = refused(**{**HTTPS, "authentication": [word]})["authentication"]

    assert (
        sentence == f'"{word}" is not available in this version; available are: kerberos, negotiate, certificate, none.'
    )


@pytest.mark.parametrize("word", ["kerberos", "negotiate"])
def test_kerberos_needs_a_keytab_and_a_keytab_needs_kerberos(word: str) -> None:
    """Either without the other is half of what somebody wanted."""
    plain = {**HTTP, "address": "*", "authentication": [word]}
    assert f"authentication by {word} needs it" in refused(**plain)["keytab"]
    assert "nobody uses it" in refused(**{**HTTPS, "keytab": "http.keytab"})["keytab"]
    assert ListenerSettings.model_validate({**plain, "keytab": "http.keytab"}).cbt_hardening == "relaxed"


def test_a_mechanism_is_named_once() -> None:
    """Two of them would each look at a token, and the second call it a replay."""
    twice = {"keytab": "http.keytab", "authentication": ["kerberos", "kerberos"]}
    assert '"kerberos" is there twice' in refused(**{**HTTP, **twice})["authentication"]


def test_strict_channel_binding_needs_something_to_bind() -> None:
    """Over plain http it would refuse nobody, and look as if it did; the same without Kerberos."""
    kerberos = {"keytab": "http.keytab", "authentication": ["kerberos"], "cbt_hardening": "strict"}
    assert 'needs transport = "https"' in refused(**{**HTTP, **kerberos})["cbt_hardening"]
    assert "binds Kerberos to TLS" in refused(**{**HTTPS, "cbt_hardening": "strict"})["cbt_hardening"]
    assert ListenerSettings.model_validate({**HTTPS, **kerberos}).cbt_hardening == "strict"


def test_what_the_settings_call_available_is_what_auth_can_do() -> None:
    """The settings may not see auth (the import law), so a test holds the two lists together."""
    assert set(BUILT) == set(MECHANISMS)


def test_https_needs_its_files() -> None:
    """Each is named, with what it is for."""
    found = refused(transport="https")

    assert set(found) == {"certificate", "key", "client_ca"}
    assert "private key" in found["key"]


def test_files_of_https_on_a_plain_listener_are_a_mistake() -> None:
    """Somebody believes that this listener is encrypted."""
    assert "plain http does not use it" in refused(**{**HTTP, "certificate": "s.pem"})["certificate"]


def test_certificates_cannot_be_shown_over_plain_http() -> None:
    """Nobody could ever get in."""
    assert 'needs transport = "https"' in refused(**{**HTTP, "authentication": ["certificate"]})["authentication"]


@pytest.mark.parametrize("address", ["wec.corp.example", "999.1.1.1", "", "127.0.0.1:5986"])
def test_an_address_is_an_address(address: str) -> None:
    """A name may mean another machine tomorrow."""
    assert "is no address" in refused(**{**HTTPS, "address": address})["address"]


@pytest.mark.parametrize("address", [5, ["127.0.0.1", 5], {"a": 1}, True])
def test_an_address_of_another_kind_is_one_sentence(address: object) -> None:
    """Not one for every form it might have had."""
    found = refused(**{**HTTPS, "address": address})

    assert list(found) == ["address"]
    assert 'is neither an address, a list of them, nor "*"' in found["address"]


def test_all_that_is_wrong_with_a_listener_is_said_at_once() -> None:
    """Address, mechanism and files are different mistakes."""
    assert set(refused(transport="https", address="here", authentication=["basic", "kerberos"])) == {
        "address",
        "authentication",
        "keytab",
        "certificate",
        "key",
    }


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("balancer.corp.example", "is no address and no network; write the proxy's address"),
        ("", "is no address and no network"),
        ("10.0.0.0/33", "is no address and no network"),
        ("10.1.2.3/16", 'is no network but a host in one; write "10.1.0.0/16"'),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
    ],
)
def test_a_proxy_is_an_address_or_a_network_of_its_own(proxy: str, said: str) -> None:
    """Its word counts about everybody, so a slip here lets anybody be anybody."""
    at, said_of_it = next(iter(refused(**{**HTTP, "proxy_protocol": ["10.0.0.5", proxy]}).items()))

    assert at == "proxy_protocol[1]"
    assert said in said_of_it


def test_proxies_may_be_addresses_and_networks_of_both_kinds() -> None:
    """As the README writes them."""
    proxies = ["10.0.0.5", "10.1.0.0/16", "2001:db8::7", "2001:db8:1::/48"]

    assert ListenerSettings.model_validate({**HTTP, "proxy_protocol": proxies}).proxy_protocol == proxies


@pytest.mark.parametrize("port", [-1, 65536, "5986"])
def test_a_port_is_a_port(port: object) -> None:
    """Zero is any free one."""
    assert "port" in refused(**{**HTTPS, "port": port})
    assert ListenerSettings.model_validate({**HTTPS, "port": 0}).port == 0


def test_limits_are_consistent_with_each_other() -> None:
    """A body that may come in must be allowed to be read, and one address never takes every connection."""
    limits = Limits()

    assert limits.decompressed_size >= limits.body_size
    assert limits.connections_per_address < limits.connections
    assert limits.body_size > 2 * 512_000  # the envelope that we offer, as UTF-16


def test_a_sink_with_conditions_does_not_take_everything() -> None:
    """``wef check`` warns when no sink does."""
    assert SinkSettings(type="x").takes_everything
    assert not SinkSettings(type="x", match={"channel": "Security"}).takes_everything
    assert not SinkSettings(type="x", exclude={"event_id": 4688}).takes_everything
    assert not SinkSettings(type="x", sample=0.5).takes_everything


@pytest.mark.parametrize("match", [{"event_id": [4624, "4720-4729"]}, {"channel": "Sec*", "level": 2}, {}])
def test_a_match_is_kept_as_it_was_written(match: dict[str, Any]) -> None:
    """Routing compiles it; the settings only see that it means something."""
    assert SinkSettings(type="x", match=match).match == match


@pytest.mark.parametrize(
    "match",
    [
        {"channel": 5},
        {"channel": ""},
        {"event_id": 1.5},
        {"event_id": "abc"},
        {"event_id": -1},
        {"level": "5-2"},
        {"chanel": "x"},
        {"computer": []},
        "Security",
    ],
)
def test_a_match_that_would_take_nothing_is_refused(match: Any) -> None:
    """It would be found when the evidence is looked for."""
    with pytest.raises(ValidationError):
        SinkSettings(type="x", match=match)


def test_settings_cannot_be_changed_afterwards() -> None:
    """What was checked is what runs."""
    settings = CollectorSettings()

    with pytest.raises(ValidationError):
        settings.__setattr__("state", Path("/elsewhere"))


@pytest.mark.parametrize("revision", ["", "x" * 129, "a\nb"])
def test_a_revision_is_short_and_printable(revision: str) -> None:
    """It travels in the header of every message."""
    with pytest.raises(ValidationError):
        CollectorSettings.model_validate({"subscriptions": {"revision": revision}})


@pytest.mark.parametrize(
    "table", [{}, {"level": 4}, {"event_id": " 4720 - 4729 "}, {"event_id": [1, "2"], "source": "*"}]
)
def test_what_the_settings_take_the_router_takes(table: dict[str, Any]) -> None:
    """A match that ``wef check`` calls good must not stop ``wef serve`` with a traceback."""
    sink = SinkSettings(type="x", match=table)

    assert Taking.compile(sink.match, sink.exclude, sink.sample).everything is (not table)


def test_an_exclude_that_would_leave_out_everything_is_refused() -> None:
    """An empty table is a forgotten condition, and every event would be gone."""
    with pytest.raises(ValidationError, match="leave out every event"):
        SinkSettings(type="x", exclude={})


@pytest.mark.parametrize(
    "host", ["https://wec.corp.example", "wec.corp.example:5986", "wec/x", "a b", "", "-a", "a..b"]
)
def test_a_hostname_is_a_bare_name(host: str) -> None:
    """It goes into NotifyTo and the policy; with a port or a path in it no source would find its way."""
    assert "without port or path" in refused(**HTTPS, hostname=host)["hostname"]


@pytest.mark.parametrize("host", ["wec", "wec.corp.example", "WEC_1.corp.example.", "10.0.0.1", "fe80::1"])
def test_a_hostname_may_be_any_name_or_address(host: str) -> None:
    """Windows networks have underscores, and labs have addresses."""
    assert ListenerSettings.model_validate({**HTTPS, "hostname": host}).hostname == host
