"""Machines of a Kerberos realm of the bench's own, for sealed loads: the collector's keytab, a key for each machine.

It must not know what is sent.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping

import gssapi

from collector.auth.gss import SPNEGO as SPNEGO_OID
from collector.auth.gss import GssSeal
from collector.wsman.sealing import SPNEGO
from tests.servers.kdc import Kdc

FLAGS = (
    gssapi.RequirementFlag.mutual_authentication
    | gssapi.RequirementFlag.confidentiality
    | gssapi.RequirementFlag.integrity
    | gssapi.RequirementFlag.replay_detection
    | gssapi.RequirementFlag.out_of_sequence_detection
)


class Realm:
    """*machines* with keys in *kdc*, which must not be used by this process before."""

    def __init__(self, kdc: Kdc, machines: int) -> None:
        self.environment: Mapping[str, str] = {"KRB5_CONFIG": str(kdc.krb5_conf)}
        os.environ.update(self.environment)
        self.keytab = str(kdc.keytab("HTTP/localhost"))
        self._keys = kdc.folder / "bench.keytab"
        self._names = [kdc.full(f"BENCH{number:04}$") for number in range(machines)]
        kdc.add_many(self._names, self._keys)
        self._next = itertools.cycle(self._names)
        self._service = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
        self._tickets: dict[str, gssapi.Credentials] = {}

    def session(self) -> tuple[gssapi.SecurityContext, GssSeal]:
        """The next machine's context, not yet established, and the seal that it will be."""
        name = next(self._next)
        if name not in self._tickets:
            self._tickets[name] = gssapi.Credentials(
                name=gssapi.Name(name, gssapi.NameType.kerberos_principal),
                usage="initiate",
                store={"client_keytab": str(self._keys), "ccache": f"MEMORY:{name}"},
            )
        context = gssapi.SecurityContext(
            name=self._service, creds=self._tickets[name], mech=SPNEGO_OID, flags=FLAGS, usage="initiate"
        )
        return context, GssSeal(context, SPNEGO)
