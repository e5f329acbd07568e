"""A real Elasticsearch node of 8.19, or 9: Elastic's own build without most modules, and our plugin in their place.

``fill/`` says what the plugin stands in for. Still missing: ILM, the data stream API (streams are made
by ``_bulk``, and cannot be deleted: take a namespace of your own), every processor but set, drop and
fail, Painless. It must not know the collector's sinks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collector.clock import SystemClock
from collector.simulate.authority import issue, make_authority
from tests.servers.distribution import Distribution, fetched
from tests.servers.http_server import HttpServer
from tests.servers.server import FUNCTIONAL, free_port

BUILT_IN = ("data-streams@mappings", "logs@mappings", "logs@settings", "ecs@mappings")
"""The component templates that Elastic's index template ``logs`` stands on."""


class Elasticsearch(HttpServer):
    """One node on ``url``. *settings* are the node's: ``Elasticsearch({"http.max_content_length": "1mb"})``.

    *nine*: version 9 (``tests/servers/get nine``; Java 21). *plugin*: without it the bare distribution, which
    has not even ``GET /``. *quick*: half the time to start, slower ever after; False for benchmarks.
    Ready after 6-10 s; signals go to the server, not to its launcher.
    """

    name = "elasticsearch"

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        nine: bool = False,
        plugin: bool = True,
        quick: bool = True,
        memory: str = "384m",
    ) -> None:
        self.distribution: Distribution = fetched("nine" if nine else "")
        super().__init__()
        self.home, self.jdk = self.distribution.elasticsearch(nine=nine), self.distribution.jdk_for(nine=nine)
        if not plugin:
            self.home = self._bare(self.home)
        self.settings: dict[str, object] = {**self._basics(), **(settings or {})}
        self._configure([f"-Xms{memory}", f"-Xmx{memory}", *(FUNCTIONAL[1:] if quick else ())])

    def command(self) -> Sequence[str]:
        # it refuses to run as root; its folder then belongs to nobody
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        return [*as_nobody, str(self.home / "bin" / "elasticsearch")]

    def environment(self) -> Mapping[str, str]:
        return {
            "ES_JAVA_HOME": str(self.jdk),
            "ES_PATH_CONF": str(self.config),
            "ES_TMPDIR": str(self.folder / "tmp"),
        }

    def prepare(self) -> None:
        (self.config / "elasticsearch.yml").write_text(
            "".join(f"{name}: {json.dumps(value)}\n" for name, value in self.settings.items())
        )
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def pid(self) -> int:
        """The server, which is the launcher's child."""
        for task in Path(f"/proc/{super().pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                return int(child)
        raise AssertionError(f"{self.name} has no process that serves")

    def load_built_in_templates(self) -> None:
        """Elastic's own ``logs`` (priority 100), as a full Elasticsearch has it, from the jar beside the server."""
        with zipfile.ZipFile(self.distribution.templates) as jar:
            for name in BUILT_IN:
                self.told("PUT", f"/_component_template/{name}", _template(jar, name))
            # the settings name it; the original needs processors that are not here
            self.told("PUT", "/_ingest/pipeline/logs@default-pipeline", {"processors": []})
            self.told("PUT", "/_index_template/logs", _template(jar, "logs@template"))

    def _basics(self) -> dict[str, object]:
        return {
            "cluster.name": "wef-tests",
            "node.name": "n1",
            "discovery.type": "single-node",
            "http.host": "127.0.0.1",
            "http.port": self.port,
            "transport.host": "127.0.0.1",
            "transport.port": free_port(),
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "xpack.security.enabled": False,
            # the machine's disk may be as full as it likes
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }

    def _configure(self, java: Sequence[str]) -> None:
        shutil.copytree(self.home / "config", self.config)
        for part in ("data", "logs", "tmp"):
            (self.folder / part).mkdir()
        (self.config / "jvm.options.d").mkdir(exist_ok=True)
        (self.config / "jvm.options.d" / "tests.options").write_text("\n".join(java) + "\n")

    def _bare(self, home: Path) -> Path:
        """The distribution again, of links, without our plugin."""
        bare = self.folder / home.name
        bare.mkdir()
        for part in home.iterdir():
            if part.name == "bin":  # the scripts look for their home above themselves
                shutil.copytree(part, bare / part.name)
            elif part.name != "plugins":
                (bare / part.name).symlink_to(part)
        (bare / "plugins").mkdir()
        return bare


def _template(jar: zipfile.ZipFile, name: str) -> dict[str, Any]:
    text = jar.read(f"{name}.json").decode()
    text = text.replace("${xpack.stack.template.version}", "1").replace("${xpack.stack.template.deprecated}", "false")
    body: dict[str, Any] = json.loads(text)
    return {key: value for key, value in body.items() if key not in {"version", "deprecated"}}


class SecureElasticsearch(Elasticsearch):
    """TLS, users and API keys.

    ``url`` is https and ``ca`` its authority; ``user`` and ``password`` are the administrator's. ``writer``
    (``writer_password``) may do what an event shipper needs, on ``logs-*`` only: monitor, auto_configure, create_doc.
    ``api_key()`` makes a key of the same rights. ``stranger_ca`` signed nothing.
    """

    name = "elasticsearch-secure"
    user = "administrator"
    password = "administrator-secret"
    writer = "writer"
    writer_password = "writer-secret"
    ca: Path
    RIGHTS: Mapping[str, Any] = {
        "cluster": ["monitor"],
        "indices": [{"names": ["logs-*"], "privileges": ["auto_configure", "create_doc"]}],
    }

    def __init__(self, settings: Mapping[str, object] | None = None, *, nine: bool = False) -> None:
        security = {
            "xpack.security.enabled": True,
            "xpack.security.enrollment.enabled": False,
            "xpack.security.http.ssl.enabled": True,
            "xpack.security.http.ssl.key": "server.key",
            "xpack.security.http.ssl.certificate": "server.pem",
            "xpack.security.http.ssl.certificate_authorities": ["ca.pem"],
            "xpack.security.transport.ssl.enabled": False,
        }
        super().__init__({**security, **(settings or {})}, nine=nine)
        self.ca = self.config / "ca.pem"
        self.stranger_ca = self.config / "stranger-ca.pem"
        self._write_certificates()
        self._write_users()

    def api_key(self, name: str = "wef", rights: Mapping[str, Any] | None = None) -> str:
        """A new key, as ``Authorization: ApiKey`` wants it."""
        asked = {"name": name, "role_descriptors": {name: dict(rights or self.RIGHTS)}}
        encoded: str = self.told("POST", "/_security/api_key", asked)["encoded"]
        return encoded

    def _write_certificates(self) -> None:
        now = SystemClock().now()
        authority = make_authority("wef test authority", now)
        server = issue(authority, ["localhost", "127.0.0.1"], server=True, now=now)
        self.ca.write_bytes(authority.pem())
        self.stranger_ca.write_bytes(make_authority("somebody else", now).pem())
        (self.config / "server.pem").write_bytes(server.pem())
        (self.config / "server.key").write_bytes(server.key_pem())

    def _write_users(self) -> None:
        """The file realm: quicker than two runs of its own tool."""
        passwords = {self.user: self.password, self.writer: self.writer_password}
        (self.config / "users").write_text("".join(f"{name}:{_hashed(word)}\n" for name, word in passwords.items()))
        (self.config / "users_roles").write_text(f"superuser:{self.user}\nwef_writer:{self.writer}\n")
        (self.config / "roles.yml").write_text(f"wef_writer: {json.dumps(self.RIGHTS)}\n")


def _hashed(password: str, *, rounds: int = 1000) -> str:
    """A password as the file realm keeps it: PBKDF2 with SHA-512, which needs no package."""
    salt = os.urandom(32)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 32)
    return f"{{PBKDF2}}{rounds}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"
