"""The winrm/config of a pretend machine: what it ships with, its limits, its one listener.

Documents only; who may read them and how they travel is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.simulate.host_nature import HostNature
from collector.wsman import names
from collector.wsman.config_resource import ConfigNode, write_config

_Tree = Sequence[tuple[str, "str | _Tree"]]


def config_document(path: str, nature: HostNature, *, transport: str, port: int) -> str | None:
    """The XML of the resource *path* below winrm/config (``""``, ``service/auth``); None: there is none."""
    root = _node("Config", _config(nature, transport=transport, port=port))
    found = root.find(path) if path else root
    return write_config(found) if found is not None and found.children else None


def listener_documents(*, transport: str, port: int, address: str) -> list[str]:
    """What ``winrm enumerate winrm/config/listener`` shows: one listener, the one that it came through."""
    listener = _node("Listener", _listener(transport, port, address))
    return [write_config(listener, namespace=names.CONFIG + "/listener")]


def _node(name: str, content: str | _Tree) -> ConfigNode:
    if isinstance(content, str):
        return ConfigNode(name, content)
    return ConfigNode(name, children=tuple(_node(inner, below) for inner, below in content))


def _listener(transport: str, port: int, address: str) -> _Tree:
    return (
        ("Address", "*"),
        ("Transport", transport.upper()),
        ("Port", str(port)),
        ("Hostname", ""),
        ("Enabled", "true"),
        ("URLPrefix", "wsman"),
        ("CertificateThumbprint", ""),
        ("ListeningOn", address),
    )


def _config(nature: HostNature, *, transport: str, port: int) -> _Tree:
    """As captured (winrm-config-get.xml), with the limits of *nature*."""
    ports = (
        ("HTTP", str(port if transport == "http" else 5985)),
        ("HTTPS", str(port if transport == "https" else 5986)),
    )
    client = (
        ("NetworkDelayms", "5000"),
        ("URLPrefix", "wsman"),
        ("AllowUnencrypted", "false"),
        ("Auth", _switches(Basic=True, Digest=True, Kerberos=True, Negotiate=True, Certificate=True, CredSSP=False)),
        ("DefaultPorts", (("HTTP", "5985"), ("HTTPS", "5986"))),
        ("TrustedHosts", ""),
    )
    service = (
        ("RootSDDL", "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)"),
        ("MaxConcurrentOperations", "4294967295"),
        ("MaxConcurrentOperationsPerUser", "1500"),
        ("EnumerationTimeoutms", f"{nature.enumeration_timeout * 1000:.0f}"),
        ("MaxConnections", "300"),
        ("MaxPacketRetrievalTimeSeconds", "120"),
        ("AllowUnencrypted", "false"),
        (
            "Auth",
            (
                *_switches(Basic=False, Kerberos=True, Negotiate=True, Certificate=transport == "https", CredSSP=False),
                ("CbtHardeningLevel", "Relaxed"),
            ),
        ),
        ("DefaultPorts", ports),
        ("IPv4Filter", "*"),
        ("IPv6Filter", "*"),
        ("EnableCompatibilityHttpListener", "false"),
        ("EnableCompatibilityHttpsListener", "false"),
        ("CertificateThumbprint", ""),
        ("AllowRemoteAccess", "true"),
    )
    winrs = (
        ("AllowRemoteShellAccess", "true"),
        ("IdleTimeout", "7200000"),
        ("MaxConcurrentUsers", "2147483647"),
        ("MaxShellRunTime", "2147483647"),
        ("MaxProcessesPerShell", "2147483647"),
        ("MaxMemoryPerShellMB", "2147483647"),
        ("MaxShellsPerUser", "2147483647"),
    )
    return (
        ("MaxEnvelopeSizekb", str(nature.max_envelope // 1024)),
        ("MaxTimeoutms", f"{nature.max_timeout * 1000:.0f}"),
        ("MaxBatchItems", str(nature.max_items)),
        ("MaxProviderRequests", "4294967295"),
        ("Client", client),
        ("Service", service),
        ("Winrs", winrs),
    )


def _switches(**switches: bool) -> _Tree:
    return tuple((name, str(on).lower()) for name, on in switches.items())
