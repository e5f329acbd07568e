"""MECHANISMS: the table of ways to prove who is calling. A mechanism is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.auth.anonymous import NoneMechanism
from collector.auth.base import Mechanism
from collector.auth.certificate import Authorities, CertificateMechanism
from collector.auth.kerberos import KerberosMechanism
from collector.clock import Clock
from collector.config.settings import ListenerSettings

MECHANISMS: Mapping[str, Callable[[ListenerSettings, Clock], Mechanism]] = {
    "kerberos": lambda listener, clock: KerberosMechanism("kerberos", listener, clock),
    "negotiate": lambda listener, clock: KerberosMechanism("negotiate", listener, clock),
    "certificate": lambda listener, clock: CertificateMechanism(
        Authorities.load(listener.client_ca, listener.crl), clock
    ),
    "none": lambda listener, clock: NoneMechanism(),
}
