"""Why no connection came about, or why it ended, in words that an administrator can act on. Pure: errors in, words out.

What OpenSSL and the operating system say is matched by their numbers and names, and told as it was said where it is
not known.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from collector.wire.trouble import Reason


class Finding(NamedTuple):
    """A word for the state and half a sentence, to stand after ``URL: ``."""

    reason: Reason
    said: str


OPEN_IT = "is WinRM running there (winrm quickconfig), and does a firewall between here and there let the port through?"
_CERTIFICATES: Mapping[int, str] = {  # X509_V_ERR_*
    9: "its certificate is not valid yet ({said}): is this machine's clock right?",
    10: "its certificate has expired ({said}): renew it there",
    18: "its certificate is signed by itself ({said}): give it in ca, or let a known CA issue one",
    19: "its certificate leads to a CA that is not trusted here ({said}): give that CA in ca",
    20: "its certificate is issued by a CA that is not trusted here ({said}): give that CA in ca",
    21: "its certificate is issued by a CA that is not trusted here ({said}): give that CA in ca",
    23: "its certificate was revoked ({said})",
    26: "its certificate is not for servers ({said}): it needs the purpose serverAuth",
    62: "its certificate is for another name ({said}): call it by a name that is in its certificate, or let it have one"
    " with that name",
    64: "its certificate is for another address ({said}): call it by a name that is in its certificate",
}
_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""In the names of TLS alerts by which the far end refuses ours (RFC 8446 6.2)."""


def of_lookup(error: OSError) -> Finding:
    """Why the name has no address."""
    code = error.errno
    said = error.strerror or str(error) or "no answer in time"
    if code == socket.EAI_AGAIN or isinstance(error, TimeoutError):
        return Finding("dns", f"no name server answers ({said}): see /etc/resolv.conf")
    if code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return Finding("dns", f"DNS knows no such host ({said}): check the name and its domain, or give an address")
    return Finding("dns", f"the name cannot be looked up ({said})")


def of_connect(error: OSError) -> Finding:
    """Why there is no TCP connection."""
    said = error.strerror or str(error) or type(error).__name__
    match error.errno:
        case errno.ECONNREFUSED:
            return Finding("refused", f"nobody listens on that port ({said}): {OPEN_IT}")
        case errno.EMFILE | errno.ENFILE:
            return Finding(
                "unreachable",
                f"this process may open no more files ({said}): each conversation is one; raise LimitNOFILE",
            )
        case _ if isinstance(error, TimeoutError):
            return Finding("timeout", f"no connection in time: is the machine up? {OPEN_IT.capitalize()}")
        case _:
            return Finding("unreachable", f"no way there ({said}): check the network and the routes")


def of_handshake(error: OSError) -> Finding:
    """Why TLS did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.rstrip(".")
        pattern = _CERTIFICATES.get(error.verify_code, "its certificate is not believed ({said})")
        return Finding("certificate", f"the TLS handshake failed: {pattern.format(said=said)}")
    if isinstance(error, ssl.SSLError):
        name = error.reason or ""
        if _refused_ours(error):
            return Finding("certificate", _ours_refused(name))
        if name in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
            said = f"it does not speak TLS on that port ({name})"
            return Finding("tls", f"the TLS handshake failed: {said}: https is 5986, http 5985, unless set otherwise")
        return Finding("tls", f"the TLS handshake failed: {name or error}")
    if isinstance(error, TimeoutError):
        return Finding("timeout", "the TLS handshake failed: no answer in time; does it speak TLS on that port?")
    said = error.strerror or str(error) or type(error).__name__
    return Finding(
        "tls",
        f"the TLS handshake failed: it broke off ({said}). Has its listener a certificate"
        " (winrm enumerate winrm/config/listener), and does it speak TLS 1.2?",
    )


def of_loss(error: Exception | None, *, unheard: bool = False) -> tuple[Finding, bool]:
    """Why a connection ended in the middle of an exchange, and whether the far end may have acted on the request.

    With TLS 1.3 the far end judges our certificate after our side has begun to speak; it has read nothing then, but
    that is over once it has answered something. It may also leave without a word: *unheard* says that inside TLS it
    has not said anything yet.
    """
    hint = ". If it wants a certificate, it did not like ours: see certificate and key" if unheard else ""
    if isinstance(error, ssl.SSLError):
        if _refused_ours(error):
            return Finding("certificate", _ours_refused(error.reason or "")), not unheard
        return Finding("tls", f"TLS broke ({error.reason or error})"), True
    if error is None:
        return Finding("cut", f"it closed the connection before its answer was complete{hint}"), True
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Finding("cut", f"the connection broke before the answer was complete ({said}){hint}"), True


def _refused_ours(error: ssl.SSLError) -> bool:
    name = error.reason or ""
    return "ALERT" in name and any(word in name for word in _ALERTS)


def _ours_refused(name: str) -> str:
    return (
        f"the TLS handshake failed: it does not accept our certificate ({name}): its issuer must be trusted there, and"
        " certificate and key must be set here where it wants one"
    )
