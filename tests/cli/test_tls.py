"""``wef tls init``: a lab CA in one command, and nothing ever overwritten."""

from __future__ import annotations

import asyncio
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.cli.running import wef

FILES = {
    "ca.pem", "ca.key", "ca.crl", "server.pem", "server.key", "clients/client1.lab.example.pem",
    "clients/client1.lab.example.key", "clients/client2.lab.example.pem", "clients/client2.lab.example.key",
}  # fmt: skip


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_makes_everything_that_mutual_tls_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are for their owner alone; the thumbprint for the policy is printed."""
    folder = tmp_path / "new" / "tls"

    ended = wef(capsys, "tls", "init", folder, "--server", "wec.lab.example", "--clients", 2)

    assert ended.code == 0
    assert files(folder) == FILES
    for path in folder.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    assert authority.fingerprint(hashes.SHA1()).hex().upper() in ended.out
    assert f'client_ca = ["{folder}/ca.pem"]' in ended.out


async def test_client_and_server_meet_over_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real handshake, both sides checking the other, with Python's strictest checks."""
    assert wef(capsys, "tls", "init", tmp_path, "--server", "127.0.0.1", "--clients", 1).code == 0
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.load_verify_locations(tmp_path / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(
        tmp_path / "clients/client1.lab.example.pem", tmp_path / "clients/client1.lab.example.key"
    )  # fmt: skip
    seen: list[object] = []

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subjectAltName"])
        writer.write(b"hello")
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        assert await reader.read() == b"hello"
        writer.close()
    assert seen == [(("DNS", "client1.lab.example"),)]


def test_clients_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that a lab's machines get their own names."""
    ended = wef(
        capsys, "tls", "init", tmp_path, "--server", "wec", "--client", "pc1.x.example", "--client", "pc2", "--json"
    )  # fmt: skip

    assert ended.code == 0
    assert ended.rows[0]["clients"] == ["pc1.x.example", "pc2"]
    assert len(ended.rows[0]["thumbprint"]) == 40
    assert {"clients/pc1.x.example.pem", "clients/pc2.key"} <= files(tmp_path)


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CA key that is gone takes every source with it."""
    (tmp_path / "ca.key").write_text("precious")

    ended = wef(capsys, "tls", "init", tmp_path, "--server", "wec.lab.example")

    assert ended.code == 73
    assert f"{tmp_path} already holds ca.key; nothing was written." in ended.err
    assert files(tmp_path) == {"ca.key"}
    assert (tmp_path / "ca.key").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 73, and no traceback."""
    (tmp_path / "file").write_text("")

    ended = wef(capsys, "tls", "init", tmp_path / "file" / "tls", "--server", "wec.lab.example")

    assert ended.code == 73
    assert "cannot be written" in ended.err


@pytest.mark.parametrize("name", ["../../etc/cron", "a b", "", "-x", "wec.lab.example/"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It becomes a file name and a line in other people's settings."""
    assert wef(capsys, "tls", "init", tmp_path, "--server", "wec", "--client", name).code == 64
    assert files(tmp_path) == set()
