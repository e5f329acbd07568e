"""What this collector says of itself in WinRM's words, and what of it can be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.pull import CredentialsSettings, PullSettings
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.delivery.exchange import Arrival
from collector.delivery.winrm_config import Place, ServedConfig
from collector.wsman import names
from collector.wsman.config_resource import ConfigNode, parse_config
from collector.wsman.messages import Fault, Header, ResourceRequest, ResourceResponse, Unsupported, Verb
from tests.delivery.conversation import PC, Corridor
from tests.routing.scripted_sink import ScriptedSink

PLAIN = ListenerSettings(
    transport="http", address=["10.0.0.5", "::1"], authentication=["kerberos", "negotiate"], keytab=Path("k"), port=80
)
TLS = ListenerSettings(
    transport="https",
    hostname="wec.corp.example",
    certificate=Path("c"),
    key=Path("k"),
    client_ca=[Path("ca")],
    public_port=443,
)
PLACES = [Place(PLAIN, [("10.0.0.5", 80), ("::1", 80)]), Place(TLS, [("*", 5986)], "ab" * 20)]
SETTINGS = CollectorSettings(
    credentials={
        "dmz": CredentialsSettings(mechanism="negotiate", trusted_hosts=["*.dmz.example", "lab"]),
        "tls": CredentialsSettings(mechanism="certificate", certificate=Path("c")),
    }
)
LISTENER = "/listener"


def request(verb: Verb, path: str = "", *, size: int | None = None, **more: object) -> ResourceRequest:
    resource = names.CONFIG + path
    header = Header("action", "uuid:1", to="http://wec:5985/wsman", resource_uri=resource, max_envelope_size=size)
    return ResourceRequest(header, verb, **more)  # type: ignore[arg-type]


def ask(asked: ResourceRequest, own: ListenerSettings | None = TLS) -> ResourceResponse | Fault:
    return ServedConfig(SETTINGS, PLACES, own).answer(asked)


def items(asked: ResourceRequest, own: ListenerSettings | None = TLS) -> list[ConfigNode]:
    answer = ask(asked, own)
    assert isinstance(answer, ResourceResponse), answer
    return [parse_config(item) for item in answer.items]


def refusal(asked: ResourceRequest) -> tuple[str, str | None]:
    answer = ask(asked)
    assert isinstance(answer, Fault)
    return answer.name, answer.detail


def test_the_whole_configuration_says_what_holds() -> None:
    """Limits, ports and what we call others with are ours; what WinRM has and we have not says so."""
    (config,) = items(request("Get"))

    assert config.name == "Config"
    assert config.value("MaxEnvelopeSizekb") == "16384"
    assert config.value("MaxTimeoutms") == "60000"
    assert config.value("Client/NetworkDelayms") == "5000"
    assert config.value("Client/TrustedHosts") == ""  # a source that knew could pretend to be one of them
    assert [config.value(f"Client/Auth/{word}") for word in ("Kerberos", "Negotiate", "Certificate", "Basic")] == [
        "true", "true", "true", "false",
    ]  # fmt: skip
    assert config.value("Service/DefaultPorts/HTTP") == "80"
    assert config.value("Service/DefaultPorts/HTTPS") == "443"
    assert config.value("Service/EnableCompatibilityHttpListener") == "true"
    assert config.value("Service/AllowUnencrypted") == "false"
    assert config.value("Service/AllowRemoteAccess") == "true"
    assert config.value("Service/CertificateThumbprint") == "ab" * 20
    assert config.value("Winrs/AllowRemoteShellAccess") == "false"


def test_how_one_is_let_in_is_told_of_the_listener_that_was_asked() -> None:
    """Listeners differ, and winrm/config has one place for all of them."""
    (inside,) = items(request("Get", "/service/auth"), PLAIN)
    (outside,) = items(request("Get", "/Service/Auth"), TLS)

    words = ("Basic", "Kerberos", "Negotiate", "Certificate", "CredSSP", "CbtHardeningLevel")
    assert [inside.value(word) for word in words] == ["false", "true", "true", "false", "false", "Relaxed"]
    assert [outside.value(word) for word in words] == ["false", "false", "false", "true", "false", "Relaxed"]


def test_each_address_is_a_listener() -> None:
    """As WinRM has them: a star, or IP: and an address; TLS with its host and its certificate."""
    listeners = items(request("Enumerate", LISTENER, optimized=True, max_elements=32000))

    assert [(one.value("Address"), one.value("Transport"), one.value("Port")) for one in listeners] == [
        ("IP:10.0.0.5", "HTTP", "80"),
        ("IP:::1", "HTTP", "80"),
        ("*", "HTTPS", "5986"),
    ]
    assert listeners[2].value("Hostname") == "wec.corp.example"
    assert listeners[2].value("CertificateThumbprint") == "ab" * 20


def test_a_listener_is_chosen_by_its_selectors() -> None:
    """winrm get winrm/config/listener?Address=*+Transport=HTTPS, in any case."""
    (found,) = items(request("Get", LISTENER, selectors=[("address", "*"), ("TRANSPORT", "https")]))

    assert found.value("Port") == "5986"


def test_an_enumeration_goes_on_where_it_was_and_keeps_nothing() -> None:
    """The context is all there is to know, so that nobody can make us remember; in any process, after any restart."""
    seen: list[str] = []
    answer = ask(request("Enumerate", LISTENER))
    assert isinstance(answer, ResourceResponse)
    assert not answer.optimized
    while isinstance(answer, ResourceResponse) and answer.context is not None:
        answer = ask(request("Pull", LISTENER, context=answer.context, max_elements=2))
        assert isinstance(answer, ResourceResponse)
        seen += [parse_config(item).value("Address") for item in answer.items]

    assert seen == ["IP:10.0.0.5", "IP:::1", "*"]


def test_addresses_of_items_lead_to_the_items() -> None:
    """winrm enumerate -returntype:epr; each EPR has what Get wants."""
    answer = ask(request("Enumerate", LISTENER, optimized=True, max_elements=1, mode="EnumerateEPR"))
    assert isinstance(answer, ResourceResponse)
    both = ask(request("Enumerate", LISTENER, optimized=True, max_elements=1, mode="EnumerateObjectAndEPR"))
    assert isinstance(both, ResourceResponse)

    assert '<w:Selector Name="Address">IP:10.0.0.5</w:Selector>' in answer.items[0]
    assert "cfg:Listener" not in answer.items[0]
    assert both.items[0].startswith("<w:Item><cfg:Listener")
    assert answer.context is not None
    rest = ask(request("Pull", LISTENER, context=answer.context, max_elements=9))
    assert isinstance(rest, ResourceResponse)
    assert all(item.startswith("<a:EndpointReference>") for item in rest.items)


def test_what_was_called_is_not_repeated_at_any_length() -> None:
    """A megabyte in a:To would come back once for each listener; nothing is asked by such a name."""
    long = request("Enumerate", LISTENER).header._replace(to="http://wec/" + "&" * 100_000)
    answer = ask(ResourceRequest(long, "Enumerate", optimized=True, max_elements=9, mode="EnumerateEPR"))

    assert isinstance(answer, ResourceResponse)
    assert len(answer.items) == 3
    assert sum(map(len, answer.items)) < 3000
    assert all(names.ANONYMOUS in item for item in answer.items)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (request("Get", "/plugin"), ("a:DestinationUnreachable", "InvalidResourceURI")),
        (request("Get", "/service/certmapping"), ("a:DestinationUnreachable", "InvalidResourceURI")),
        (request("Get", "/MaxTimeoutms"), ("a:DestinationUnreachable", "InvalidResourceURI")),
        (request("Enumerate", "/plugin"), ("a:DestinationUnreachable", "InvalidResourceURI")),
        (request("Enumerate", "/service"), ("a:ActionNotSupported", None)),
        (request("Get", selectors=[("a", "b")]), ("w:InvalidSelectors", "UnexpectedSelectors")),
        (request("Get", LISTENER), ("w:InvalidSelectors", "InsufficientSelectors")),
        (request("Get", LISTENER, selectors=[("Address", "*")] * 2), ("w:InvalidSelectors", "DuplicateSelectors")),
        (request("Get", LISTENER, selectors=[("Enabled", "true")]), ("w:InvalidSelectors", "UnexpectedSelectors")),
        (
            request("Get", LISTENER, selectors=[("Address", "*"), ("Transport", "HTTP")]),
            ("a:DestinationUnreachable", "InvalidResourceURI"),
        ),
        (request("Pull", LISTENER, context="uuid:other"), ("n:InvalidEnumerationContext", None)),
        (request("Release", LISTENER, context=""), ("n:InvalidEnumerationContext", None)),
        (request("Enumerate", LISTENER, filtered=True), ("n:FilteringNotSupported", None)),
        (request("Get", size=8191), ("w:EncodingLimit", "MinimumEnvelopeLimit")),
    ],
)
def test_what_is_not_there_is_refused_as_winrm_does(asked: ResourceRequest, fault: tuple[str, str | None]) -> None:
    """protocol.md 8.3: scripts go by subcode and detail."""
    assert refusal(asked) == fault


def test_what_does_not_fit_is_not_sent() -> None:
    """[DSP0226] R6.2-3, R8.4: as many items as fit and the way to the rest; where not even one does, a fault."""
    many = [Place(PLAIN, [(f"10.0.0.{number}", 80) for number in range(20)])]
    asked = request("Enumerate", LISTENER, optimized=True, max_elements=32000, size=8192)
    answer = ServedConfig(SETTINGS, many, PLAIN).answer(asked)

    assert isinstance(answer, ResourceResponse)
    assert 0 < len(answer.items) < 20
    assert answer.context == f"listeners/{len(answer.items)}/"
    config = ServedConfig(CollectorSettings(pull=PullSettings(url_prefix="y" * 4000)), PLACES, TLS)
    assert config.answer(request("Get", size=8192)) == Fault("w:EncodingLimit", detail="MaxEnvelopeSize")
    assert isinstance(config.answer(request("Get", size=153600)), ResourceResponse)


def test_a_released_context_is_no_error() -> None:
    """Clients that have seen enough say so."""
    assert ask(request("Release", LISTENER, context="listeners/1/")) == ResourceResponse("Release")


async def test_nothing_of_it_can_be_changed(tmp_path: Path) -> None:
    """Put, Create, Delete and Invoke name the file that has the values; other resources are none of ours."""
    corridor = Corridor(tmp_path, ScriptedSink())
    for action in (names.TRANSFER + "/Put", names.TRANSFER + "/Delete", names.CONFIG + "/Restore"):
        answer = await corridor.say(Unsupported(Header(action, "uuid:1", resource_uri=names.CONFIG)))
        assert isinstance(answer, Fault)
        assert (answer.name, answer.extra) == ("a:ActionNotSupported", action)
        assert "collector.toml" in (answer.text or "")
    shell = Header(
        names.TRANSFER + "/Create", "uuid:1", resource_uri="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
    )
    answer = await corridor.say(Unsupported(shell))
    assert isinstance(answer, Fault)
    assert answer.name == "a:DestinationUnreachable"


async def test_a_header_that_must_be_understood_stops_it(tmp_path: Path) -> None:
    """w:FragmentTransfer, say: an answer that passed it over would be another one than was asked for."""
    header = Header("action", "uuid:1", resource_uri=names.CONFIG, not_understood=((names.WSMAN, "FragmentTransfer"),))
    answer = await Corridor(tmp_path, ScriptedSink()).exchange.answer(
        ResourceRequest(header, "Get"), PC, Arrival("", None)
    )

    assert isinstance(answer, Fault)
    assert answer.name == "s:MustUnderstand"
