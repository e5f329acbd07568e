"""MECHANISMS: the table of ways to prove who is calling. A mechanism is one file and one line here.

What a mechanism needs is loaded when a listener asks for it: certificates bring 9 MB of cryptography along, and
a collector whose sources come with tickets, or one behind a proxy on loopback, never looks at one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.auth.anonymous import NoneMechanism
from collector.auth.base import Mechanism
from collector.clock import Clock
from collector.config.settings import ListenerSettings


def _kerberos(word: str, listener: ListenerSettings, clock: Clock) -> Mechanism:
    from collector.auth.kerberos import KerberosMechanism

    return KerberosMechanism(word, listener, clock)


def _certificate(listener: ListenerSettings, clock: Clock) -> Mechanism:
    from collector.auth.certificate import Authorities, CertificateMechanism

    return CertificateMechanism(Authorities.load(listener.client_ca, listener.crl), clock)


MECHANISMS: Mapping[str, Callable[[ListenerSettings, Clock], Mechanism]] = {
    "kerberos": lambda listener, clock: _kerberos("kerberos", listener, clock),
    "negotiate": lambda listener, clock: _kerberos("negotiate", listener, clock),
    "certificate": _certificate,
    "none": lambda listener, clock: NoneMechanism(),
}
