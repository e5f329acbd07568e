"""pypsrp and pywinrm against our own ``wef serve``: tokens, sealing and channel binding that somebody else wrote.

Both put a TAB before each header of a part, and cannot read a reply without one; Windows sends none. So each
conversation here also proves that a reply is sealed in the style of its request.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, absent
from tests.end_to_end.foreign_clients import Journey, asked_for
from tests.end_to_end.stage import Stage, free_port, json_lines, wef
from tests.end_to_end.test_serve import eventually
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow  # a collector and clients in processes of their own

OFFERS = {"both": ["kerberos", "negotiate"], "kerberos": ["kerberos"], "negotiate": ["negotiate"]}
LONG = [2_000, 500_000, 100_000, 2_000]


class Domain:
    """A collector with a listener for each way to offer Kerberos, and the realm that it belongs to."""

    def __init__(self, kdc: Kdc, folder: Path) -> None:
        self.kdc = kdc
        self.ports = {name: free_port() for name in [*OFFERS, "inside"]}
        self.stage = Stage.build(folder, sinks=self._settings(), channels=["System"], clients=["unused.wef.test"])

    def url(self, listener: str) -> str:
        scheme = "https" if listener == "inside" else "http"
        return f"{scheme}://localhost:{self.ports[listener]}/wsman/SubscriptionManager/WEC"

    def send(self, machine: str, client: str, scheme: str, listener: str, **more: object) -> int:
        """*machine* goes on a ``Journey``; how many messages were answered. Raises ``CalledProcessError``."""
        ca = str(self.stage.folder / "tls" / "ca.pem") if listener == "inside" else None
        journey = Journey(client, scheme, self.url(listener), machine, ca=ca, **more)  # type: ignore[arg-type]
        done = subprocess.run(
            asked_for(journey),
            cwd=REPOSITORY,
            env={**os.environ, **self.kdc.environment_of(f"{machine}$")},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answered: int = json.loads(done.stdout)["answered"]
        return answered

    def stored(self, machine: str) -> Counter[str]:
        """The principals that sent what the store has of *machine*, and how many events each."""
        arguments = ["events", "search", "--computer", machine, "--json", "--limit", "1000"]
        found = json_lines(wef(*arguments, folder=self.stage.folder).stdout)
        return Counter(document["wef"]["client"]["principal"] for document in found)

    def _settings(self) -> str:
        keytab = self.kdc.keytab("HTTP/localhost")
        plain = "".join(
            f'[listeners.{name}]\ntransport = "http"\naddress = "127.0.0.1"\nport = {self.ports[name]}\n'
            f'authentication = {json.dumps(words)}\nkeytab = "{keytab}"\n'
            for name, words in OFFERS.items()
        )
        return (
            f'[sinks.events]\ntype = "events"\n{plain}'
            f'[listeners.inside]\ntransport = "https"\naddress = "127.0.0.1"\nport = {self.ports["inside"]}\n'
            f'authentication = ["kerberos", "negotiate"]\nkeytab = "{keytab}"\ncbt_hardening = "strict"\n'
            'certificate = "tls/server.pem"\nkey = "tls/server.key"\n'
        )


@pytest.fixture(scope="module")
def domain(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    for package in ("gssapi", "krb5", "kerberos", "pypsrp", "winrm"):
        if importlib.util.find_spec(package) is None:
            absent(
                f"the Python package {package} is not there: tests/servers/install builds it, with gcc and libkrb5-dev"
            )
    domain = Domain(kdc, tmp_path_factory.mktemp("domain"))
    domain.stage.start(environment={"KRB5_CONFIG": str(kdc.krb5_conf)})
    yield domain
    if domain.stage.running:
        domain.stage.kill()


@pytest.mark.parametrize(
    ("machine", "client", "scheme", "listener"),
    [
        ("PSRP1", "pypsrp", "kerberos", "both"),  # a bare AP-REQ under the scheme Negotiate
        ("PSRP2", "pypsrp", "negotiate", "negotiate"),  # SPNEGO
        ("PSRP3", "pypsrp", "negotiate", "kerberos"),  # the scheme Kerberos, sealed under its own protocol
        ("WINRM1", "pywinrm", "kerberos", "both"),  # with the token unasked, in the request that has a sealed body
        ("WINRM2", "pywinrm", "kerberos", "negotiate"),
    ],
)
def test_events_sealed_by_a_foreign_client_are_stored(
    domain: Domain, machine: str, client: str, scheme: str, listener: str
) -> None:
    """2 KB and 500 KB, several messages over one session, and every answer opened and understood at the far end."""
    answered = domain.send(machine, client, scheme, listener, batches=LONG)

    assert answered == 2 + len(LONG)
    assert domain.stored(machine) == {f"{machine}$@{domain.kdc.realm}": sum(size // 2_000 for size in LONG)}


def test_a_binding_to_our_certificate_is_taken_where_one_is_demanded(domain: Domain) -> None:
    """CbtHardeningLevel strict, sealed inside TLS: the binding that pypsrp computed is the one that we did."""
    domain.send("BOUND", "pypsrp", "negotiate", "inside")

    assert domain.stored("BOUND") == {f"BOUND$@{domain.kdc.realm}": 1}


def test_a_client_without_binding_is_refused_where_one_is_demanded(domain: Domain) -> None:
    """A relay has no binding to our certificate to show; neither the collector's nor the client's library minds."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        domain.send("UNBOUND", "pypsrp", "negotiate", "inside", binding=False)

    assert "AuthenticationError" in refused.value.stderr
    assert "cbt_hardening is strict" in domain.stage.log()
    assert domain.stored("UNBOUND") == {}


def test_one_conversation_leaves_one_source_in_the_list(domain: Domain) -> None:
    """The key is the whole principal, so that namesakes of two realms never share a bookmark."""
    domain.send("LISTED", "pypsrp", "kerberos", "both")

    def keys() -> list[str]:
        rows = json_lines(wef("sources", "list", "--json", folder=domain.stage.folder).stdout)
        return [row["key"] for row in rows if row["source"] == "listed"]

    eventually(lambda: bool(keys()), "the source is listed")
    assert keys() == [f"listed$@{domain.kdc.realm.lower()}"]
