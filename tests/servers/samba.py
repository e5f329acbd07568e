"""An Active Directory domain of a test's own: Samba as its controller, in namespaces that nobody else sees.

It needs root. Whoever wants to talk to it does so from inside, by ``run``: its ports and names exist only there;
files are the same. It must not know which services use it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.servers.distribution import Absent
from tests.servers.kdc import PATHS
from tests.servers.server import NotStarted, Server

HERE = Path(__file__).parent
PROGRAMS = ("samba", "samba-tool", "unshare", "nsenter", "ip", "mount")
PACKAGES = "samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind iproute2"
PROVISION = Path("/usr/share/samba/setup/provision.ldif")
TOKENS = """
import base64, gssapi, json, sys
flag, krb5 = gssapi.RequirementFlag, gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
def token(principal):
    name = gssapi.Name(principal, gssapi.NameType.user)
    store = {"client_keytab": sys.argv[1], "ccache": f"MEMORY:{principal}"}
    credentials = gssapi.Credentials(usage="initiate", name=name, mechs=[krb5], store=store)
    flags = [flag.mutual_authentication, flag.confidentiality, flag.integrity, flag.replay_detection,
             flag.out_of_sequence_detection]
    target = gssapi.Name("HTTP@wec.ad.test", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=target, creds=credentials, usage="initiate", mech=krb5, flags=flags)
    return base64.b64encode(context.step()).decode()
print(json.dumps([token(principal) for principal in sys.argv[2:]]))
"""
"""What a client shows first, AP-REQs: made inside, accepted anywhere, once each."""


class Samba(Server):
    """The domain ``AD.TEST`` with the machines WEC, SRV01 and SRV02 and the user ``many``, see ``domain/accounts``.

    14 s until it answers on two busy cores, of which 6 provision the directory::

        with Samba() as domain:
            domain.start().wait()
            domain.run(sys.executable, "client.py", "wec.ad.test")
    """

    name = "samba"
    realm = "AD.TEST"
    host = "wec.ad.test"
    """The collector's name, an address of the inside (10.53.0.2)."""

    def __init__(self) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name, path=PATHS) is None]
        if missing:
            raise Absent(f"{missing[0]} was not found; on Debian or Ubuntu: apt install {PACKAGES}")
        if not PROVISION.exists():
            raise Absent(f"{PROVISION} was not found; on Debian or Ubuntu: apt install {PACKAGES}")
        if os.geteuid() != 0:
            raise Absent("a domain controller needs namespaces and fixed ports, and so root")
        if subprocess.run(self._unshare("true"), capture_output=True, check=False, env=_paths()).returncode != 0:
            raise Absent("a domain controller needs namespaces of its own, and this root may not make them")
        super().__init__()
        self.krb5_conf = self.folder / "krb5.conf"
        self.krb5_conf.write_text(CLIENT)

    def command(self) -> Sequence[str]:
        return self._unshare(str(HERE / "domain" / "controller"), str(self.folder))

    def environment(self) -> Mapping[str, str]:
        return {**_paths(), "KRB5_CONFIG": str(self.krb5_conf)}

    def ready(self) -> bool:
        """The KDC listens; it is the last to do so."""
        asked = ["bash", "-c", "echo > /dev/tcp/10.53.0.1/88"]
        made = (self.folder / "accounts.json").exists()
        return made and subprocess.run(self.inside(*asked), capture_output=True, check=False).returncode == 0

    @cached_property
    def directory(self) -> Mapping[str, Any]:
        """``domain``, its SID, and ``accounts``: by name ``sid`` and ``groups``, as the directory has them."""
        found: Mapping[str, Any] = json.loads((self.folder / "accounts.json").read_text())
        return found

    def sid(self, account: str) -> str:
        return str(self.directory["accounts"][account]["sid"])

    @property
    def keytab(self) -> Path:
        """The collector's: HTTP/wec.ad.test."""
        return self.folder / "http.keytab"

    @property
    def sources(self) -> Path:
        """The keytab of ``SRV01$``, ``SRV02$`` and ``many``."""
        return self.folder / "sources.keytab"

    def tokens(self, *accounts: str) -> list[bytes]:
        """What each of *accounts* would show to the collector, in base64."""
        said = self.run(sys.executable, "-c", TOKENS, str(self.sources), *accounts)
        return [token.encode() for token in json.loads(said)]

    def run(self, *command: str, folder: Path | None = None, seconds: float = 60.0) -> str:
        """What *command* prints when it runs inside. Raises ``NotStarted`` with its errors when it ends otherwise."""
        done = subprocess.run(
            self.inside(*command),
            env={**os.environ, **self.environment()},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            raise NotStarted(f"{' '.join(command)[:200]}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, *command: str) -> list[str]:
        """*command* as it is written outside to run inside, in the present folder."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "--wd=.", *command]

    def _unshare(self, *command: str) -> list[str]:
        return ["unshare", "-n", "-m", "-u", "--propagation", "private", *command]


def decoded_by_samba(*values: str) -> list[dict[str, Any]]:
    """What Samba reads in PACs (logon information in base64): ``sid`` and ``groups``."""
    said = subprocess.run(
        [HERE / "domain" / "decode"], input="\n".join(values), capture_output=True, text=True, timeout=30, check=True
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def _paths() -> dict[str, str]:
    return {"PATH": PATHS}


CLIENT = """\
[libdefaults]
 default_realm = AD.TEST
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 AD.TEST = {
  kdc = 10.53.0.1
 }
[domain_realm]
 .ad.test = AD.TEST
"""
