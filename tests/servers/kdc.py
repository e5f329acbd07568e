"""A Kerberos realm of a test's own: MIT's KDC on a high port of 127.0.0.1, with nothing global and no root.

It must not know which services use it. What a program needs to find the realm is in ``environment_of``;
the Kerberos library reads it when it is first used, so give it to a process of its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.servers.distribution import Absent
from tests.servers.server import NotStarted, Server, free_port

PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
ENCRYPTION = ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "aes256-cts-hmac-sha384-192", "arcfour-hmac")
"""What principals get keys of: all that Windows uses, and RC4 for those who ask."""


def program(name: str) -> str:
    """Where a program of MIT Kerberos is. Raises ``Absent``."""
    found = shutil.which(name, path=PATHS)
    if found is None:
        raise Absent(f"{name} was not found; on Debian or Ubuntu: apt install krb5-kdc krb5-admin-server krb5-user")
    return found


class Kdc(Server):
    """One realm, ``WEF.TEST`` by default. Principals may be added at any time, before the start too::

    with Kdc() as kdc:
        kdc.start().wait()
        kdc.add("collector", password="secret")
        kdc.keytab("HTTP/localhost")               # adds the principal with a random key; the file
        subprocess.run(..., env={**os.environ, **kdc.environment_of("collector")})
    """

    name = "kdc"

    def __init__(self, realm: str = "WEF.TEST") -> None:
        self.realm = realm
        self.programs = {name: program(name) for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")}
        super().__init__()
        self.port = free_port()
        self.krb5_conf, self.kdc_conf = self.folder / "krb5.conf", self.folder / "kdc.conf"
        self.krb5_conf.write_text(self._client())
        self.kdc_conf.write_text(self._server())
        self._run("kdb5_util", "create", "-s", "-r", self.realm, "-P", "master-secret")

    def command(self) -> Sequence[str]:
        return [self.programs["krb5kdc"], "-n", "-r", self.realm]

    def environment(self) -> Mapping[str, str]:
        return {"KRB5_CONFIG": str(self.krb5_conf), "KRB5_KDC_PROFILE": str(self.kdc_conf)}

    def ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def full(self, principal: str) -> str:
        """A principal with its realm."""
        return principal if "@" in principal else f"{principal}@{self.realm}"

    def add(self, principal: str, *, password: str | None = None, encryption: Sequence[str] = ()) -> None:
        """A new principal with *password*, or a random key; *encryption*: only these types."""
        secret = f'-pw "{password}"' if password else "-randkey"
        types = "".join(f"{name}:normal," for name in encryption).rstrip(",")
        self.administer(f'addprinc {secret} {f"-e {types}" if types else ""} "{self.full(principal)}"')

    def keytab(self, principal: str) -> Path:
        """The keytab of *principal*; the principal is made with a random key when it is new.

        Asking again gives the same file; ``administer`` rotates keys.
        """
        path = self.folder / f"{principal.replace('/', '-')}.keytab"
        if not path.exists():
            if "does not exist" in self.administer(f'getprinc "{self.full(principal)}"', check=False):
                self.add(principal)
            self.administer(f'ktadd -k {path} -norandkey "{self.full(principal)}"')
        return path

    def add_many(self, principals: Iterable[str], keytab: Path) -> None:
        """New principals with random keys, all in one *keytab*; a hundred take less than a second.

        One key each: the library reads such a file from its beginning for each ticket.
        """
        names = [f'"{self.full(principal)}"' for principal in principals]
        made = "".join(f"addprinc -randkey -e {ENCRYPTION[0]}:normal {name}\n" for name in names)
        self._run("kadmin.local", "-r", self.realm, entered=f"{made}ktadd -k {keytab} -norandkey {' '.join(names)}\n")

    def ticket(self, principal: str) -> Path:
        """A credential cache with a fresh ticket of *principal*, got with its keytab: the KDC must run."""
        cache = self.folder / f"{principal.replace('/', '-')}.ccache"
        self._run("kinit", "-c", f"FILE:{cache}", "-k", "-t", str(self.keytab(principal)), self.full(principal))
        return cache

    def environment_of(self, principal: str) -> dict[str, str]:
        """The variables of a process that acts as *principal*, with a ticket."""
        return {"KRB5_CONFIG": str(self.krb5_conf), "KRB5CCNAME": f"FILE:{self.ticket(principal)}"}

    def administer(self, query: str, *, check: bool = True) -> str:
        """One query to ``kadmin.local``, and what it said: ``cpw -randkey -keepold HTTP/localhost`` rotates a key."""
        return self._run("kadmin.local", "-r", self.realm, "-q", query, check=check)

    def _run(self, name: str, *arguments: str, check: bool = True, entered: str = "") -> str:
        done = subprocess.run(
            [self.programs[name], *arguments],
            env={**os.environ, **self.environment()},
            input=entered,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        said = done.stdout + done.stderr
        if check and done.returncode != 0:
            raise NotStarted(f"{name} {' '.join(arguments)}: {done.returncode}\n{said}")
        return said

    def _client(self) -> str:
        # names are taken as they are written: DNS has no say on loopback
        return f"""\
[libdefaults]
 default_realm = {self.realm}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 ticket_lifetime = 24h
 allow_rc4 = true
[realms]
 {self.realm} = {{
  kdc = 127.0.0.1:{self.port}
 }}
[domain_realm]
 localhost = {self.realm}
 .{self.realm.lower()} = {self.realm}
"""

    def _server(self) -> str:
        return f"""\
[kdcdefaults]
 kdc_listen = 127.0.0.1:{self.port}
 kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
 {self.realm} = {{
  database_name = {self.folder}/principal
  key_stash_file = {self.folder}/stash
  acl_file = {self.folder}/kadm5.acl
  max_life = 24h
  supported_enctypes = {" ".join(f"{name}:normal" for name in ENCRYPTION)}
 }}
[logging]
 kdc = FILE:{self.folder}/kdc.log
"""
