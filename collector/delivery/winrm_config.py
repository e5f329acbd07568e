"""winrm/config as this collector has it, served read-only: the settings in WinRM's words, and who asks gets them.

So ``winrm get winrm/config -r:collector`` shows what really holds. Where WinRM has a setting that we have not, its
value says what that comes to. Pure: what is asked comes as a ``ResourceRequest``, the listeners as they listen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.config.settings import WSMAN_PORTS, CollectorSettings, ListenerSettings, Transport
from collector.wsman import names
from collector.wsman.config_resource import ConfigNode, write_config
from collector.wsman.messages import Fault, ResourceRequest, ResourceResponse
from collector.wsman.resources import of_config
from collector.wsman.xml import escaped

LONGEST_TIME = 60.0
"""Seconds of an OperationTimeout that are of any use: the time after which no Windows source waits for its Ack."""
SMALLEST_ENVELOPE = 8192
"""[DSP0226] R6.2-4: a smaller MaxEnvelopeSize cannot be served."""
LONGEST_TO = 2048
"""Characters of an a:To that addresses of items repeat; a URL has no more that any client would keep."""
FRAME = 1500
"""Letters of an answer without its items, rounded up."""
UNLIMITED = "4294967295"
"""What WinRM writes where it no longer counts (MaxProviderRequests, MaxConcurrentOperations)."""
READERS = "O:NSG:BAD:P(A;;GR;;;AU)"
"""Our RootSDDL: who is authenticated may read, nobody may change anything."""
_CONTEXT = re.compile(r"listeners/([0-9]{1,4})/(EnumerateEPR|EnumerateObjectAndEPR|)", re.ASCII)
"""How many listeners were told already, and in which mode: nothing need be kept for anybody."""
_SELECTORS = ("address", "transport", "port")
"""WinRM's, and the port, because two of our listeners may have the same of both."""


@dataclass(frozen=True, slots=True)
class Place:
    """One listener at work: its *addresses* (as in the settings, and the port), the SHA-1 of its certificate or ""."""

    settings: ListenerSettings
    addresses: Sequence[tuple[str, int]]
    thumbprint: str = ""


class ServedConfig:
    """The documents, as they are for who came in by the listener *own* of *places*."""

    def __init__(self, settings: CollectorSettings, places: Sequence[Place], own: ListenerSettings | None) -> None:
        mine = next((place for place in places if place.settings is own), None)
        self._root = _config(settings, places, mine)
        self._listeners = [node for place in places for node in _listeners(place)]

    def answer(self, request: ResourceRequest) -> ResourceResponse | Fault:
        """What *request* asks for, or why not ([DSP0226] 7.2, 8)."""
        path = of_config(request.header.resource_uri)
        limit = request.header.max_envelope_size
        if limit is not None and limit < SMALLEST_ENVELOPE:
            return Fault("w:EncodingLimit", detail="MinimumEnvelopeLimit")
        room = None if limit is None else limit // 2 - FRAME  # UTF-16, as Windows asks for
        if request.verb == "Get":
            found = self._get(path or "", request)
            if isinstance(found, ResourceResponse) and room is not None and len(found.items[0]) > room:
                return Fault("w:EncodingLimit", detail="MaxEnvelopeSize")
            return found
        if path != "listener":
            known = path is not None and self._part(path) is not None
            return refused_change(request.header.action) if known else unreachable()
        return self._enumerated(request, room)

    def _get(self, path: str, request: ResourceRequest) -> ResourceResponse | Fault:
        if path == "listener":
            found = self._selected(request.selectors)
            return found if isinstance(found, Fault) else ResourceResponse("Get", [_listener_xml(found)])
        part = self._part(path)
        if part is None:
            return unreachable()
        if request.selectors:
            return Fault("w:InvalidSelectors", detail="UnexpectedSelectors")
        return ResourceResponse("Get", [write_config(part)])

    def _part(self, path: str) -> ConfigNode | None:
        """A part of winrm/config that is a resource of its own: one with parts."""
        found = self._root.find(path)
        return found if found is not None and found.children else None

    def _selected(self, selectors: Sequence[tuple[str, str]]) -> ConfigNode | Fault:
        """The one listener that has what *selectors* say, names and values without regard to case."""
        wanted = {name.casefold(): value.casefold() for name, value in selectors}
        if len(wanted) < len(selectors):
            return Fault("w:InvalidSelectors", detail="DuplicateSelectors")
        if any(name not in _SELECTORS for name in wanted):
            return Fault("w:InvalidSelectors", detail="UnexpectedSelectors")
        if not {"address", "transport"} <= wanted.keys():
            return Fault("w:InvalidSelectors", detail="InsufficientSelectors")
        fitting = (
            node
            for node in self._listeners
            if all(node.value(name).casefold() == value for name, value in wanted.items())
        )
        return next(fitting, None) or unreachable(
            "The service cannot find the resource identified by the resource URI and selectors: there is no such"
            " listener. winrm enumerate winrm/config/listener lists them."
        )

    def _enumerated(self, request: ResourceRequest, room: int | None) -> ResourceResponse | Fault:
        """The listeners, or those that are left."""
        if request.verb == "Enumerate":
            if request.filtered:
                return Fault("n:FilteringNotSupported")
            if request.selectors:
                return Fault("w:InvalidSelectors", detail="UnexpectedSelectors")
            if not request.optimized:
                return ResourceResponse("Enumerate", (), _context(0, request.mode), optimized=False)
            return self._told(request, 0, request.mode, room)
        context = _CONTEXT.fullmatch(request.context)
        if context is None:
            return Fault("n:InvalidEnumerationContext")
        if request.verb == "Release":
            return ResourceResponse("Release")
        return self._told(request, int(context[1]), context[2], room)

    def _told(self, request: ResourceRequest, at: int, mode: str, room: int | None) -> ResourceResponse | Fault:
        """As many as were asked for and fit, and the way to the others."""
        items: list[str] = []
        for node in self._listeners[at : at + request.max_elements]:
            item = _item(node, mode, request.header.to)
            if room is not None:
                room -= len(item)
                if room < 0:
                    break
            items.append(item)
        after = at + len(items)
        more = after < len(self._listeners)
        if more and not items:
            return Fault("w:EncodingLimit", detail="MaxEnvelopeSize")
        return ResourceResponse(request.verb, items, _context(after, mode) if more else None)


def refused_change(action: str) -> Fault:
    """Put, Create, Delete and the rest of a resource that is only to be read ([DSP0226] 7)."""
    text = "The action is not supported by the service: winrm/config is read-only here; collector.toml has its values."
    return Fault("a:ActionNotSupported", text=text, extra=action)


def unreachable(text: str | None = None) -> Fault:
    """There is no such resource."""
    return Fault("a:DestinationUnreachable", detail="InvalidResourceURI", text=text)


def _context(at: int, mode: str) -> str:
    return f"listeners/{at}/{mode}"


def _item(node: ConfigNode, mode: str, to: str) -> str:
    """The listener itself, its address, or both ([DSP0226] 8.7)."""
    if not mode:
        return _listener_xml(node)
    chosen = "".join(
        f'<w:Selector Name="{name}">{escaped(node.value(name))}</w:Selector>'
        for name in ("Address", "Transport", "Port")
    )
    called = to if 0 < len(to) <= LONGEST_TO else names.ANONYMOUS
    address = (
        f"<a:EndpointReference><a:Address>{escaped(called)}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{names.CONFIG_LISTENER}</w:ResourceURI><w:SelectorSet>{chosen}</w:SelectorSet>"
        "</a:ReferenceParameters></a:EndpointReference>"
    )
    return address if mode == "EnumerateEPR" else f"<w:Item>{_listener_xml(node)}{address}</w:Item>"


def _listener_xml(node: ConfigNode) -> str:
    return write_config(node, namespace=names.CONFIG_LISTENER)


# What it holds (protocol.md 11.3, 11.4) -----------------------------------------------------------------------------

_Tree = Sequence[tuple[str, "str | bool | float | _Tree"]]


def _node(name: str, content: str | bool | float | _Tree) -> ConfigNode:
    match content:
        case str():
            return ConfigNode(name, content)
        case bool():
            return ConfigNode(name, str(content).lower())
        case int() | float():
            return ConfigNode(name, f"{content:.0f}")
        case _:
            return ConfigNode(name, children=tuple(_node(inner, below) for inner, below in content))


def _config(settings: CollectorSettings, places: Sequence[Place], own: Place | None) -> ConfigNode:
    limits = settings.limits
    shells: _Tree = (("AllowRemoteShellAccess", False),)
    return _node(
        "Config",
        (
            ("MaxEnvelopeSizekb", limits.body_size // 1024),
            ("MaxTimeoutms", LONGEST_TIME * 1000),
            ("MaxBatchItems", limits.events_per_batch),
            ("MaxProviderRequests", UNLIMITED),
            ("Client", _client(settings)),
            ("Service", _service(settings, places, own)),
            ("Winrs", shells),
        ),
    )


def _client(settings: CollectorSettings) -> _Tree:
    """How we call (``[pull]``, ``[credentials]``)."""
    pull, known = settings.pull, settings.credentials.values()
    words = {credentials.mechanism for credentials in known}
    return (
        ("NetworkDelayms", pull.network_delay * 1000),
        ("URLPrefix", pull.url_prefix),
        ("AllowUnencrypted", any(credentials.allow_unencrypted for credentials in known)),
        (
            "Auth",
            (
                ("Basic", False),
                ("Digest", False),
                ("Kerberos", bool(words & {"kerberos", "negotiate"})),
                ("Negotiate", "negotiate" in words),
                ("Certificate", "certificate" in words),
                ("CredSSP", False),
            ),
        ),
        ("DefaultPorts", (("HTTP", pull.http_port), ("HTTPS", pull.https_port))),
        ("TrustedHosts", ""),  # every source may ask, and none shall learn as whom it need not prove itself
    )


def _service(settings: CollectorSettings, places: Sequence[Place], own: Place | None) -> _Tree:
    """How we are called: by the listener that was asked, where listeners differ."""
    limits = settings.limits
    words = set(own.settings.authentication) if own is not None else set()
    hardening = own.settings.cbt_hardening if own is not None else "relaxed"
    listening = {(place.settings.transport, port) for place in places for _, port in place.addresses}
    return (
        ("RootSDDL", READERS),
        ("MaxConcurrentOperations", UNLIMITED),
        ("MaxConcurrentOperationsPerUser", UNLIMITED),
        ("EnumerationTimeoutms", UNLIMITED),
        ("MaxConnections", limits.connections),
        ("MaxPacketRetrievalTimeSeconds", limits.body_time),
        ("AllowUnencrypted", "none" in words),
        (
            "Auth",
            (
                ("Basic", False),
                ("Kerberos", "kerberos" in words),
                ("Negotiate", "negotiate" in words),
                ("Certificate", "certificate" in words),
                ("CredSSP", False),
                ("CbtHardeningLevel", hardening.capitalize()),
            ),
        ),
        ("DefaultPorts", (("HTTP", _port(places, "http")), ("HTTPS", _port(places, "https")))),
        ("IPv4Filter", "*"),
        ("IPv6Filter", "*"),
        ("EnableCompatibilityHttpListener", ("http", 80) in listening),
        ("EnableCompatibilityHttpsListener", ("https", 443) in listening),
        ("CertificateThumbprint", own.thumbprint if own is not None else ""),
        ("AllowRemoteAccess", any(not place.settings.loopback for place in places)),
    )


def _port(places: Sequence[Place], transport: Transport) -> int:
    """The port of our first listener of that kind, as the outside knows it."""
    for place in places:
        if place.settings.transport == transport and place.addresses:
            return place.settings.public_port or place.addresses[0][1]
    return WSMAN_PORTS[transport]


def _listeners(place: Place) -> list[ConfigNode]:
    """One for each address, as WinRM has them (protocol.md 11.4)."""
    settings = place.settings
    return [
        _node(
            "Listener",
            (
                ("Address", address if address == "*" else f"IP:{address}"),
                ("Transport", settings.transport.upper()),
                ("Port", port),
                ("Hostname", settings.hostname or ""),
                ("Enabled", True),
                ("URLPrefix", "wsman"),
                ("CertificateThumbprint", place.thumbprint),
                *(("ListeningOn", one) for one in (("0.0.0.0", "::") if address == "*" else (address,))),  # noqa: S104
            ),
        )
        for address, port in place.addresses
    ]
