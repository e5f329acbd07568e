"""NTLM for GSS-API kills whoever takes default credentials; a collector beside it must not notice.

gss-ntlmssp 1.2.0, where a machine has it, adds itself to every set of default credentials. With a keytab, the token
that it refuses leaves a context behind that is freed already, and the next tokens shown to it end the process: from
anybody, before authentication. The package is unpacked by tests/servers/install and never installed.
"""

from __future__ import annotations

import base64
import http.client
import importlib.util
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.end_to_end.stage import Stage, free_port
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow  # a collector in a process of its own

NEGOTIATE = b"NTLMSSP\0" + struct.pack("<II", 1, 0xE2088297) + bytes(24)  # [MS-NLMP] 2.2.1.1
AUTHENTICATE = b"NTLMSSP\0" + struct.pack("<I", 3) + bytes(80)  # [MS-NLMP] 2.2.1.3
NTLM_OID = bytes.fromhex("060a2b06010401823702020a")
SPNEGO_OID = bytes.fromhex("06062b0601050502")

VICTIM = """
import sys, gssapi
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False
credentials = gssapi.Credentials(usage="accept", store={"keytab": sys.argv[1]})
context = gssapi.SecurityContext(creds=credentials, usage="accept")
for token in sys.argv[2:]:
    try:
        context.step(bytes.fromhex(token))
    except gssapi.exceptions.GSSError as error:
        print(error, flush=True)
"""


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    assert len(content) < 128
    return bytes((tag, len(content))) + content


def in_spnego(token: bytes) -> bytes:
    """A NegTokenInit that offers NTLM only (RFC 4178 4.2.1)."""
    return der(0x60, SPNEGO_OID, der(0xA0, der(0x30, der(0xA0, der(0x30, NTLM_OID)), der(0xA2, der(0x04, token)))))


@pytest.fixture(scope="module")
def infected(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables of a process on a machine that has gss-ntlmssp and a file of its users."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    default = "/var/cache" if os.geteuid() == 0 else os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    place = Path(os.environ.get("WEF_TEST_SERVERS") or Path(default) / "wef-test-servers")
    library = next(iter((place / "gss-ntlmssp").glob("usr/lib/*/gssntlmssp/gssntlmssp.so")), None)
    if library is None:
        absent(f"gss-ntlmssp is not in {place}: tests/servers/install unpacks it there on Debian or Ubuntu")
    assert library is not None
    folder = tmp_path_factory.mktemp("ntlm")
    (folder / "mechanisms").write_text(f"gssntlmssp_v1 1.3.6.1.4.1.311.2.2.10 {library}\n")
    (folder / "users").write_text("WEF:user:password\n")
    return {
        "GSS_MECH_CONFIG": str(folder / "mechanisms"),
        "NTLM_USER_FILE": str(folder / "users"),
        "LD_LIBRARY_PATH": str(library.parents[1]),  # libwbclient, which it wants, is unpacked there too
    }


def test_default_credentials_die_of_its_tokens(kdc: Kdc, infected: Mapping[str, str]) -> None:
    """The enemy is real: without this, the test below could pass because NTLM was never there."""
    keytab = str(kdc.keytab("HTTP/localhost"))

    def ended(environment: Mapping[str, str]) -> int:
        # the second token ends two of three processes, four ended each of a hundred
        arguments = [sys.executable, "-c", VICTIM, keytab, *[NEGOTIATE.hex()] * 12]
        return subprocess.run(arguments, env={**os.environ, **environment}, capture_output=True, check=False).returncode

    assert ended({**infected, "GSS_MECH_CONFIG": os.devnull}) == 0
    assert ended(infected) < 0, "a signal ended it"


@pytest.fixture
def stage(kdc: Kdc, infected: Mapping[str, str], tmp_path: Path) -> Iterator[Stage]:
    port = free_port()
    listener = (
        f'[listeners.domain]\ntransport = "http"\naddress = "127.0.0.1"\nport = {port}\n'
        f'authentication = ["kerberos", "negotiate"]\nkeytab = "{kdc.keytab("HTTP/localhost")}"\n'
    )
    stage = Stage.build(tmp_path, sinks=listener, channels=["System"], clients=["unused.wef.test"])
    stage.port = port
    stage.start(environment={**infected, "KRB5_CONFIG": str(kdc.krb5_conf)})
    yield stage
    if stage.running:
        stage.kill()


def test_a_collector_beside_ntlm_survives_its_tokens_and_serves_the_next_caller(kdc: Kdc, stage: Stage) -> None:
    """One packet from anybody on the network must not end the collection of a whole domain."""
    tokens = [NEGOTIATE, AUTHENTICATE, in_spnego(NEGOTIATE), b"NTLMSSP\0"]

    for scheme in ("Negotiate", "Kerberos"):
        shown = [said(stage, [f"{scheme} {base64.b64encode(token).decode()}"])[0] for token in tokens]
        assert shown == [401] * len(tokens)
    together = [f"Negotiate {base64.b64encode(token).decode()}" for token in tokens * 3]
    assert said(stage, together) == [401] * len(together)

    assert stage.running
    assert said(stage, [f"Negotiate {base64.b64encode(honest(kdc)).decode()}"]) == [200]
    assert stage.stop() == 0


def said(stage: Stage, proofs: list[str]) -> list[int]:
    """The status of an empty POST with each of *proofs*, over one connection while the collector keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
    statuses = []
    for proof in proofs:
        connection.request("POST", "/wsman/SubscriptionManager/WEC", headers={"Authorization": proof})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def honest(kdc: Kdc) -> bytes:
    """What a machine of the domain shows first."""
    import gssapi

    store = {"ccache": f"FILE:{kdc.ticket('HONEST$')}"}
    flags = gssapi.RequirementFlag
    wanted = (
        flags.mutual_authentication | flags.confidentiality | flags.integrity | flags.replay_detection
        | flags.out_of_sequence_detection
    )  # fmt: skip
    context = gssapi.SecurityContext(
        name=gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service),
        creds=gssapi.Credentials(usage="initiate", store=store),
        flags=wanted,
        usage="initiate",
    )
    return bytes(context.step() or b"")
