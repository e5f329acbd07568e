"""What to do about a Windows machine that does not answer as it should: by the kind of trouble, by its fault. Pure.

The texts of numbers are in ``codes``; here is what they mean for whoever calls a machine to pull from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from collector.doctor.codes import explain
from collector.wire.trouble import Reason, Trouble
from collector.wsman.answers import SourceFault

Kind = Literal["unreachable", "denied", "wrong"]
"""Whether a machine is not reached, does not let us, or answers something that is no use: exit codes 69, 77 and 1."""

SERVICE = (
    "On the machine: winrm quickconfig. For all of them by policy: Computer Configuration > Policies > Administrative"
    " Templates > Windows Components > Windows Remote Management (WinRM) > WinRM Service > Allow remote server"
    " management"
    " through WinRM (filters: *), and Windows Settings > Security Settings > System Services > Windows Remote"
    " Management"
    " (WS-Management): Automatic."
)
FIREWALL = (
    'Firewall: the inbound rule "Windows Remote Management (HTTP-In)" opens 5985; in the public profile it takes only'
    " the local subnet. For 5986 make a rule of your own."
)
LOG_READERS = (
    'Make the account a member of the machine\'s group "Event Log Readers" (S-1-5-32-573); by policy: Computer'
    " Configuration > Preferences > Control Panel Settings > Local Users and Groups. A member counts from its next"
    " ticket"
    " on: end and start what holds the old one."
)
ROOT_SDDL = (
    "WinRM itself must let the account in: Read (GR) in RootSDDL (on the machine: winrm configSDDL default), or the"
    ' group "Remote Management Users" (S-1-5-32-580) where RootSDDL names it.'
)
CHANNEL = (
    "On the machine: wevtutil gl CHANNEL shows whether there is such a channel and who may read it (channelAccess)."
)
SPN = (
    "The ticket is for HTTP/HOST: call the machine by the name that it has in the domain, which is in setspn -L HOST"
    " (HOST/... covers HTTP/...); an address or an alias has no SPN."
)
CLOCKS = "Kerberos allows five minutes between the clocks of this machine, that machine and the KDC."
POLICY = (
    "The machine must take the mechanism: winrm get winrm/config/service/auth there; policy WinRM Service > Disallow"
    " Kerberos authentication must not be enabled."
)
NO_WINRM = (
    "Is it WinRM that has this port? 5985 is http, 5986 https, unless set otherwise (winrm e winrm/config/listener)."
)
AS_WHOM = "Say as whom it is called: --mechanism kerberos takes what kinit got, --credentials NAME what settings have."
QUOTA = (
    "Subscriptions that nobody unsubscribed count until they time out (EnumerationTimeoutms, four minutes); wait, or"
    " raise"
    " MaxConcurrentOperationsPerUser of the plugin and of winrm/config/service there."
)

_BY_REASON: Mapping[Reason, tuple[Kind, str]] = {
    "dns": ("unreachable", "Give the name that DNS knows, or the address; see getent hosts HOST here."),
    "refused": ("unreachable", f"{SERVICE}\n{FIREWALL}"),
    "unreachable": ("unreachable", f"{FIREWALL} See the route: ip route get ADDRESS."),
    "timeout": ("unreachable", f"Nothing comes back: the machine is off, or something drops it. {FIREWALL}"),
    "tls": (
        "unreachable",
        "The machine needs an HTTPS listener with a certificate for its name: winrm enumerate winrm/config/listener"
        " there;"
        " winrm quickconfig -transport:https makes one.",
    ),
    "certificate": (
        "denied",
        "Theirs: ca in the credentials must be the authority that issued it, and the name called must be in it. Ours:"
        " the"
        " machine must trust its issuer, and map it (winrm enumerate winrm/config/service/certmapping).",
    ),
    "authentication": ("denied", f"{POLICY}\n{SPN}\n{CLOCKS}"),
    "ticket": ("denied", f"wef doctor keytab looks at keytabs; klist at caches. {CLOCKS}"),
    "http": ("wrong", "Something else has this port, or stands in front of it: a proxy, a load balancer, IIS."),
    "sealing": (
        "wrong",
        "What it says after the proof cannot be trusted: something in between changes it, or it allows unencrypted"
        " bodies"
        " (winrm get winrm/config/service: AllowUnencrypted).",
    ),
    "too-large": ("wrong", "Lower max_envelope_size in the subscription, or raise answer_size in [pull]."),
    "charset": ("wrong", "WinRM writes UTF-8 or UTF-16; is it WinRM that has this port?"),
    "cut": (
        "unreachable",
        "It hangs up in the middle: look at its event log Microsoft-Windows-WinRM/Operational, and for what stands"
        " between. What speaks https on that port does so, too, when it is called by http.",
    ),
}


_BY_NAME: Mapping[str, str] = {
    "a:DestinationUnreachable": "There is no such resource. winrm/config and winrm/config/listener always are there;"
    " wef winrm enumerate HOST winrm/config/listener lists what can be chosen behind the question mark.",
    "w:InvalidSelectors": "The resource takes other selectors, or none: a listener has Address and Transport.",
    "a:ActionNotSupported": "That resource cannot be asked so: winrm/config/listener is enumerated, others are got.",
}


def of_trouble(trouble: Trouble, mechanism: str = "") -> tuple[Kind, str]:
    """What kind of trouble it is, and what to do. The trouble's own sentence says what happened.

    *mechanism* is that of our credentials, where it is known.
    """
    if trouble.reason == "authentication" and mechanism == "none":
        return "denied", AS_WHOM
    return _BY_REASON[trouble.reason]


def of_fault(fault: SourceFault) -> tuple[Kind, str, str]:
    """Kind, what the machine said with its number explained, and what to do."""
    number = None if fault.code is None else fault.code % 2**32
    said = fault.name + (f"/{fault.detail}" if fault.detail else "")
    if number is not None:
        said += f" {number}" if number < 2**16 else f" 0x{number:08X}"
    said += f" ({fault.provider})" if fault.provider else ""
    said += f": {fault.text}" if fault.text else ""
    known = next(iter(explain(str(number))), None) if number is not None else None
    plain = number & 0xFFFF if number is not None and number >> 16 == 0x8007 else number
    if plain == 5 or fault.name == "w:AccessDenied":
        return "denied", said, f"{LOG_READERS}\n{CHANNEL}" if fault.provider else f"{ROOT_SDDL}\n{LOG_READERS}"
    if plain in (15001, 15007, 15008):
        return "wrong", said, f"{CHANNEL} Or the query is not one that this Windows understands."
    if known is not None and known.family == "quota":
        return "wrong", said, QUOTA
    if fault.name in _BY_NAME:
        return "wrong", said, _BY_NAME[fault.name]
    if known is not None and known.remedy:
        return "wrong", said, known.remedy
    return (
        "wrong",
        said,
        "wef doctor code NUMBER explains a number; the machine's log is Microsoft-Windows-WinRM/Operational.",
    )
