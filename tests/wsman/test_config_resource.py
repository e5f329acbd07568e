"""winrm/config as values: what is read is written again, and shown as winrm shows it."""

from __future__ import annotations

import pytest

from collector.wsman import names
from collector.wsman.config_resource import ConfigNode, config_text, parse_config, write_config
from collector.wsman.xml import XmlError

CLIENT = ConfigNode(
    "Client",
    children=(
        ConfigNode("NetworkDelayms", "5000"),
        ConfigNode("Auth", children=(ConfigNode("Basic", "true"), ConfigNode("Kerberos", "true"))),
        ConfigNode("TrustedHosts", "*", source="GPO"),
        ConfigNode("spn_prefix", "HOST"),
    ),
)
LISTENER = f"""<cfg:Listener xmlns:cfg="{names.CONFIG_LISTENER}" xml:lang="en-US">
 <cfg:Address>*</cfg:Address><cfg:Transport>HTTP</cfg:Transport><cfg:Port>5985</cfg:Port><cfg:Hostname/>
 <cfg:ListeningOn>10.0.0.5</cfg:ListeningOn><cfg:ListeningOn>::1</cfg:ListeningOn></cfg:Listener>"""


def test_what_is_written_is_read_again() -> None:
    """Elements of tomorrow's Windows included: no list of names is kept here."""
    assert parse_config(write_config(CLIENT)) == CLIENT


def test_the_text_is_that_of_winrm() -> None:
    """Four blanks a level, the source of a policy's value behind it (protocol.md 11.7)."""
    assert config_text(CLIENT) == (
        "Client\n"
        "    NetworkDelayms = 5000\n"
        "    Auth\n"
        "        Basic = true\n"
        "        Kerberos = true\n"
        '    TrustedHosts = * [Source="GPO"]\n'
        "    spn_prefix = HOST\n"
    )


@pytest.mark.parametrize("namespace", [names.CONFIG, names.CONFIG_LISTENER])
def test_a_listener_is_read_in_either_namespace_and_shown_in_lines(namespace: str) -> None:
    """Empty values have no sign, repeated ones share a line."""
    listener = parse_config(LISTENER.replace(names.CONFIG_LISTENER, namespace))

    assert config_text(listener) == (
        "Listener\n    Address = *\n    Transport = HTTP\n    Port = 5985\n    Hostname\n"
        "    ListeningOn = 10.0.0.5, ::1\n"
    )


def test_a_value_is_found_by_its_path() -> None:
    """As in the URI of the resource, without regard to case."""
    assert CLIENT.value("auth/basic") == "true"
    assert CLIENT.value("Auth/None", "absent") == "absent"
    assert CLIENT.find("") is CLIENT
    assert CLIENT.find("Auth/Basic/More") is None


@pytest.mark.parametrize(
    "xml",
    [
        "<a>" * 20 + "</a>" * 20,
        "<a>" + "<b/>" * 20_000 + "</a>",
        "<!DOCTYPE a><a/>",
        "<html",
        "",
    ],
)
def test_a_document_beyond_bounds_is_refused(xml: str) -> None:
    """It comes from a machine that may be anybody's."""
    with pytest.raises(XmlError):
        parse_config(xml)


def test_nothing_in_a_value_reaches_the_terminal_or_another_line() -> None:
    """A value with a line feed could show another value, one with an escape could hide it."""
    shown = config_text(ConfigNode("A", "x\nB = 1\x1b[2J", (), "GPO\n"))

    assert shown.splitlines() == ['A = x B = 1 [2J [Source="GPO "]']


def test_markup_in_a_value_stays_a_value() -> None:
    """TrustedHosts is whatever somebody typed."""
    node = ConfigNode("A", "<x>&\x05", (), '"<')

    assert parse_config(write_config(node)) == ConfigNode("A", "<x>&\N{REPLACEMENT CHARACTER}", (), '"<')
