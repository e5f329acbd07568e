"""Sources over TLS: whose certificate is shown, and what is said when a file does not do."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import json
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.authority import Issued, issue, make_authority
from collector.simulate.certificates import Certificates
from collector.simulate.fleet import FleetOptions, run_fleet
from tests.simulate.scripted import ScriptedCollector, collecting, event


@pytest.fixture(scope="module")
def authority() -> Issued:
    """Made a day ago by the machine's clock, which TLS looks at by itself."""
    return make_authority("Lab CA", SystemClock().now() - timedelta(days=1))


def written(issued: Issued, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(issued.pem() + issued.key_pem())
    return path


async def test_each_source_shows_its_own_certificate(tmp_path: Path, authority: Issued) -> None:
    """The identity of a source over HTTPS; {source} in the path is its name."""
    now = authority.certificate.not_valid_before_utc + timedelta(days=1)
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    for name in ("pc1.lab.example", "pc2.lab.example"):
        written(issue(authority, [name], server=False, now=now), tmp_path / "clients" / f"{name}.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(written(issue(authority, ["localhost"], server=True, now=now), tmp_path / "server.pem"))
    shown: set[tuple[str, str]] = set()

    class Collector(ScriptedCollector):
        async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
            response = await super().handle(request)
            assert request.transport is not None
            subject = request.transport.get_extra_info("peercert")["subject"]
            if "MachineID" in self.seen[-1].fields:
                shown.add((self.seen[-1].fields["MachineID"], subject[0][0][1]))
            return response

    file = tmp_path / "e.jsonl"
    file.write_text("".join(json.dumps({"xml": event("System", number)}) + "\n" for number in range(4)))
    async with collecting(Collector(), tls=context) as collector:
        verdict = await run_fleet(
            FleetOptions(
                collector.url,
                sources=2,
                events=file,
                ca=str(tmp_path / "ca.pem"),
                cert=str(tmp_path / "clients" / "{source}.pem"),
            )
        )

    assert verdict.ok
    assert shown == {("pc1.lab.example",) * 2, ("pc2.lab.example",) * 2}


def test_sources_take_the_names_of_the_certificates_that_are_there(tmp_path: Path) -> None:
    """wef tls init names its clients itself; client10 comes after client2."""
    for number in (10, 2, 1):
        (tmp_path / f"client{number}.pem").touch()
    (tmp_path / "client1.key").touch()
    certificates = Certificates(None, str(tmp_path / "{source}.pem"), None, tls=True)

    names = certificates.names([("ws-0001.corp.example", "workstation"), ("dc-0001.corp.example", "controller")])

    assert names == [("client1", "workstation"), ("client2", "controller")]


def test_too_few_certificates_are_refused_with_both_numbers(tmp_path: Path) -> None:
    """Better than a fleet of which half cannot connect."""
    (tmp_path / "client1.pem").touch()
    certificates = Certificates(None, str(tmp_path / "{source}.pem"), None, tls=True)

    with pytest.raises(OperatorError, match="there are 1 such files and 2 sources"):
        certificates.names([("a", "server"), ("b", "server")])


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A mistyped path is the most common mistake."""
    missing = tmp_path / "pc1.pem"

    with pytest.raises(OperatorError, match=rf"{missing}.*No such file"):
        Certificates(None, str(tmp_path / "{source}.pem"), None, tls=True).context("pc1")


def test_certificates_for_plain_http_are_refused() -> None:
    """They would be ignored silently, and somebody would believe that they had been tested."""
    with pytest.raises(OperatorError, match="http://"):
        Certificates("ca.pem", None, None, tls=False)


async def test_a_tls_connection_keeps_no_large_buffer_for_what_hardly_ever_comes(
    tmp_path: Path, authority: Issued
) -> None:
    """asyncio keeps 256 KiB for each: 500 MB for two thousand idle sources. A private name of asyncio, pinned here."""
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    context = Certificates(str(tmp_path / "ca.pem"), None, None, tls=True).context("pc1")
    assert context is not None

    loop = asyncio.get_running_loop()
    protocol = asyncio.sslproto.SSLProtocol(
        loop, asyncio.Protocol(), context, loop.create_future(), server_hostname="a"
    )

    assert 0 < len(protocol._ssl_buffer) <= 64 * 1024  # type: ignore[attr-defined]


def test_sources_that_show_one_certificate_share_one_context(tmp_path: Path, authority: Issued) -> None:
    """A context holds the authorities; two thousand copies of them would be hundreds of megabytes."""
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    shared = Certificates(str(tmp_path / "ca.pem"), None, None, tls=True)

    assert shared.context("pc1") is shared.context("pc2")
