"""What makes initiators: one ``Initiators`` for each set of credentials, one ``Initiator`` for each connection.

The counterpart of ``mechanisms`` in the client role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.auth.credentials import Credentials, Target
from collector.auth.initiator import Initiator
from collector.auth.plain_initiators import CertificateInitiator, NoneInitiator
from collector.clock import Clock, SystemClock
from collector.errors import OperatorError

if TYPE_CHECKING:
    from collector.auth.tickets import Tickets


class Initiators:
    """One set of credentials at work: its connections share the tickets. Threads may share it.

    Raises ``OperatorError`` where mechanism kerberos or negotiate lacks its extra.
    """

    def __init__(self, credentials: Credentials, clock: Clock | None = None) -> None:
        self._credentials = credentials
        self._tickets = _tickets(credentials, clock or SystemClock())

    def new(self, host: str, port: int, *, secure: bool, binding: bytes | None = None, realm: str = "") -> Initiator:
        """For one connection. Asks nobody yet. Raises ``NotAuthenticated`` where the mechanism may not be used so.

        *secure* is https; *binding* is then ``endpoint_binding`` of the certificate that this connection was served.
        *realm* as in ``Target``.
        """
        target = Target(host, port, secure, binding if secure else None, realm)
        match self._credentials.mechanism:
            case "certificate":
                return CertificateInitiator(self._credentials, target)
            case "none":
                return NoneInitiator(target)
            case _:
                from collector.auth.kerberos_initiator import KerberosInitiator

                assert self._tickets is not None
                return KerberosInitiator(self._credentials, target, self._tickets)


def _tickets(credentials: Credentials, clock: Clock) -> Tickets | None:
    if credentials.mechanism not in ("kerberos", "negotiate"):
        return None
    try:
        from collector.auth.tickets import Tickets
    except ImportError as error:
        raise OperatorError(
            f'credentials: mechanism "{credentials.mechanism}" needs the package gssapi, which is not installed; '
            "install wef-collector[kerberos] (it is built with gcc, python3-dev and libkrb5-dev)."
        ) from error
    return Tickets(credentials, clock)
