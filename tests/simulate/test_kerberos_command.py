"""``wef simulate --mechanism kerberos`` from outside, where something is missing: one sentence and an exit code."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.auth.test_keytab import entry
from tests.end_to_end.stage import free_port
from tests.servers.kdc import Kdc
from tests.simulate.sealing import FarEnd, answering

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kerberos_library")]  # each starts a process
URL = "http://localhost:1/wsman/SubscriptionManager/WEC"


def simulate(*options: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """The command, run to its end; *before* is done in its process first."""
    start = f"import sys; {before}; from collector.cli.main import main; main()"
    command = [sys.executable, "-c", start, "simulate", "--sources", "1", "--give-up", "1", "--mechanism", "kerberos"]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def deaf() -> Iterator[str]:
    """The URL of somebody who can be connected to and hears nothing: the ticket comes before the first word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/wsman"


def test_a_kdc_that_does_not_answer_is_told_from_a_collector_that_does_not(tmp_path: Path, deaf: str) -> None:
    """Nobody shall look at the collector's log for a request that was never sent."""
    conf = tmp_path / "krb5.conf"
    conf.write_text(
        "[libdefaults]\ndefault_realm = CORP.EXAMPLE\ndns_lookup_kdc = false\nudp_preference_limit = 1\n"
        f"[realms]\nCORP.EXAMPLE = {{\n kdc = 127.0.0.1:{free_port()}\n}}\n"
    )
    keytab = tmp_path / "machines.keytab"
    keytab.write_bytes(b"\x05\x02" + entry("WS-0001$"))
    done = simulate(
        "--url", deaf, "--keytab", str(keytab), before=f"import os; os.environ['KRB5_CONFIG'] = {str(conf)!r}"
    )

    assert done.returncode == 78
    assert "No source could get a ticket" in done.stderr
    assert "WS-0001$" in done.stderr
    assert "KDC" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_keytab_without_the_key_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """It names the file and a principal that would do."""
    keytab = tmp_path / "machines.keytab"
    keytab.write_bytes(b"\x05\x02" + entry("HTTP/wec.corp.example"))
    done = simulate("--url", URL, "--keytab", str(keytab))

    assert done.returncode == 78
    assert "machines.keytab: there are keys of 0 principals like {SOURCE}$" in done.stderr
    assert "such as DC-0001$" in done.stderr
    assert "It holds HTTP/wec.corp.example@CORP.EXAMPLE." in done.stderr


def test_without_the_package_the_extra_is_named(tmp_path: Path) -> None:
    """It is no dependency of the whole: it has to be built."""
    keytab = tmp_path / "machines.keytab"
    keytab.write_bytes(b"\x05\x02" + entry("WS-0001$"))
    done = simulate("--url", URL, "--keytab", str(keytab), before="sys.modules['gssapi'] = None")

    assert done.returncode == 78
    assert "wef-collector[kerberos]" in done.stderr


def test_a_collector_that_the_kdc_does_not_know_is_named_as_the_policy_names_it(kdc: Kdc, deaf: str) -> None:
    """The most common mistake: a URL whose host has no service principal."""
    done = simulate("--url", deaf, "--keytab", str(kdc.keytab("LONELY$")), "--principal", "LONELY$")

    assert done.returncode == 78
    assert "HTTP/127.0.0.1" in done.stderr


async def test_a_collector_that_does_not_take_the_ticket_is_not_asked_again(kdc: Kdc) -> None:
    """Its keytab has another key, or its clock another time: that does not pass by waiting."""
    keytab = kdc.keytab("LONELY$")
    kdc.keytab("HTTP/localhost")
    refusal = web.Response(status=401, headers={"WWW-Authenticate": "Kerberos"})
    async with answering(FarEnd(refusal=refusal)) as far_end:
        options = ("--url", far_end.url, "--keytab", str(keytab), "--principal", "LONELY$", "--duration", "0.1")
        done = await asyncio.to_thread(simulate, *options)

    assert done.returncode == 1
    assert "1 refused" in done.stdout
    assert "LONELY$@WEF.TEST to HTTP/localhost" in done.stderr
    assert [met.body for met in far_end.met] == [b""]
