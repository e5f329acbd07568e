"""``wef doctor``: what an administrator types when no source comes, and what it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.app import Collector
from collector.cli.settings import load_settings
from collector.simulate.authority import issue
from tests.cli.running import Ended, wef
from tests.cli.site import NOW, make_keys, make_site
from tests.conftest import absent
from tests.end_to_end.stage import free_port
from tests.servers.kdc import Kdc


def texts(ended: Ended, severity: str) -> list[str]:
    """The texts of that *severity*, from --json; a collector in the same process logs between them."""
    rows = [json.loads(line) for line in ended.out.splitlines() if line.startswith('{"severity"')]
    return [row["text"] for row in rows if row["severity"] == severity]


# code ---------------------------------------------------------------------------------------------------------------


def test_a_number_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Signed numbers too, although they look like an option."""
    ended = wef(capsys, "doctor", "code", "-2144108250", "5")

    assert ended.code == 0
    assert "ERROR_WSMAN_NETWORK_TIMEDOUT  (0x80338126 = 2150859046 = -2144108250)" in ended.out
    assert "What to do: Add NETWORK SERVICE to the group Event Log Readers" in ended.out


def test_an_unknown_number_is_1_and_says_what_it_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts notice, people get a hint."""
    ended = wef(capsys, "doctor", "code", "0x80338130")

    assert ended.code == 1
    assert "0x80338130 is not in our tables" in ended.out
    assert "remote shells" in ended.out
    assert wef(capsys, "doctor", "code", "77777777").code == 1
    assert wef(capsys, "doctor", "code", "--json", "77777777").rows == [{"code": "77777777", "known": False}]


def test_a_word_that_is_no_number_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """64, with what would be right."""
    ended = wef(capsys, "doctor", "code", "??")

    assert ended.code == 64
    assert "write 0x80338126" in ended.err


def test_a_word_that_fits_many_is_answered_with_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each."""
    lines = wef(capsys, "doctor", "code", "CERT").out.splitlines()

    assert len(lines) > 5
    assert all("ERROR_WSMAN_" in line for line in lines)


# cert ---------------------------------------------------------------------------------------------------------------


def test_the_certificates_of_the_settings_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All listeners, with their CAs and lists."""
    authority = make_keys(tmp_path)
    path = make_site(tmp_path, listener='crl = ["ca.crl"]')

    ended = wef(capsys, "doctor", "cert", "--config", path, "--json")

    assert ended.code == 0
    assert any(f"IssuerCA={authority.thumbprint}" in text for text in texts(ended, "ok"))
    assert {row["severity"] for row in ended.rows} == {"ok"}


def test_a_client_is_judged_as_the_listener_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 for the one that is made for servers."""
    authority = make_keys(tmp_path)
    (tmp_path / "pc1.pem").write_bytes(issue(authority, ["pc1.corp.example"], server=False, now=NOW).pem())
    path = make_site(tmp_path)

    good = wef(capsys, "doctor", "cert", "--config", path, "--client", tmp_path / "pc1.pem")
    bad = wef(capsys, "doctor", "cert", "--config", path, "--client", tmp_path / "server.pem")

    assert (good.code, bad.code) == (0, 1)
    assert "it would be let in as pc1.corp.example" in good.out
    assert "it would be refused: its certificate is not meant for clients" in bad.out
    assert "         -> " in bad.out


def test_a_client_file_without_a_certificate_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key was named by mistake, and nothing was said but that no listener has certificates."""
    make_keys(tmp_path)

    ended = wef(capsys, "doctor", "cert", "--config", make_site(tmp_path), "--client", tmp_path / "server.key")

    assert ended.code == 1
    assert "server.key: it holds no certificate" in ended.out


def test_a_path_that_is_no_text_is_json_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Linux allows any byte in a file's name."""
    path = f"{tmp_path}/\udcff.keytab"
    Path(path).write_bytes(b"\x05\x02")

    ended = wef(capsys, "doctor", "keytab", "--json", path)

    assert ended.code == 1
    assert ended.rows[0]["subject"] == f"keytab {path}"


def test_a_file_that_cannot_be_read_is_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a file named on the command line; one of the settings is a finding."""
    assert wef(capsys, "doctor", "cert", tmp_path / "none.pem").code == 65
    ended = wef(capsys, "doctor", "cert", "--config", make_site(tmp_path))
    assert ended.code == 1
    assert "server.pem cannot be read: No such file or directory" in ended.out


# keytab -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def gssapi(kdc: Kdc) -> Kdc:
    try:
        import collector.auth.gss  # noqa: F401
    except ImportError:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    return kdc


def test_a_keytab_is_looked_at_and_tried(gssapi: Kdc, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --name: the hosts that it has keys of HTTP/ for. Never a key on the screen."""
    keytab = gssapi.keytab("HTTP/localhost")

    ended = wef(capsys, "doctor", "keytab", keytab)

    assert ended.code == 0
    assert "it holds HTTP/localhost@WEF.TEST (version 1: aes256-cts-hmac-sha1-96" in ended.out
    assert "was had as HTTP/localhost@WEF.TEST, and the keytab opens it" in ended.out
    assert "0x8033810E" in ended.out


def test_another_name_in_the_policy_is_1(gssapi: Kdc, capsys: pytest.CaptureFixture[str]) -> None:
    """The keytab is of another name, and the directory has never heard of this one."""
    asking = ("--as", "PC$@WEF.TEST", "--client-keytab", gssapi.keytab("PC$"))

    ended = wef(
        capsys, "doctor", "keytab", gssapi.keytab("HTTP/localhost"), "--name", "wec.absent.test", *asking, "--json"
    )

    assert ended.code == 1
    problems = texts(ended, "problem")
    assert any(text.startswith("no key for HTTP/wec.absent.test@WEF.TEST.\n  It holds: HTTP/") for text in problems)
    assert any("The name is not registered" in text for text in problems)
    assert any("it does not resolve" in text for text in problems)


def test_a_file_that_is_no_keytab_is_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a client keytab without an account is usage."""
    (tmp_path / "x.keytab").write_text("hello")

    ended = wef(capsys, "doctor", "keytab", tmp_path / "x.keytab")

    assert ended.code == 65
    assert "it is no keytab; one begins with the bytes 05 02" in ended.err
    assert wef(capsys, "doctor", "keytab", tmp_path / "x.keytab", "--client-keytab", "y").code == 64


# check --------------------------------------------------------------------------------------------------------------


def kerberos_site(folder: Path, keytab: Path, *, port: int = 0, host: str = "localhost") -> Path:
    make_keys(folder, names=("localhost",))
    return make_site(
        folder,
        host="localhost",
        listener=f'address = "127.0.0.1"\nport = {port or 15986}',
        more=f'[listeners.domain]\ntransport = "http"\naddress = "127.0.0.1"\nport = {port and free_port()}\n'
        f'hostname = "{host}"\nauthentication = ["kerberos", "negotiate"]\nkeytab = "{keytab}"\n',
    )


def test_check_names_the_missing_key_and_what_is_held(
    gssapi: Kdc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """design.md, Tone. 78, because sources that ask for HTTP/ would be turned away."""
    keytab = gssapi.keytab("host/localhost")

    ended = wef(capsys, "check", "--config", kerberos_site(tmp_path, keytab))

    assert ended.code == 78
    assert (
        "keytab host-localhost.keytab: no key for HTTP/localhost@WEF.TEST.\n"
        "  It holds: host/localhost@WEF.TEST. Clients ask for HTTP/<the name in the policy>."
    ) in ended.out


def test_check_says_what_the_start_would_say(gssapi: Kdc, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A keytab that is not there stops the collector."""
    ended = wef(capsys, "check", "--config", kerberos_site(tmp_path, tmp_path / "none.keytab"))

    assert ended.code == 78
    assert "at listeners.domain.keytab: keytab " in ended.out


# listener -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    collector = Collector(load_settings(str(path)))
    await collector.start()
    try:
        yield
    finally:
        await collector.stop("test")


async def beside(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """``wef`` in a thread, while the collector serves in this one."""
    return await asyncio.to_thread(wef, capsys, *arguments)


async def test_a_running_listener_is_met_as_a_source_meets_it(
    gssapi: Kdc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TLS and its certificate, 401 and its challenges, a ticket, and a sealed Identify both ways."""
    path = kerberos_site(tmp_path, gssapi.keytab("HTTP/localhost"), port=free_port())
    asking: tuple[Any, ...] = ("--as", "PC$@WEF.TEST", "--client-keytab", gssapi.keytab("PC$"))
    path.write_text(path.read_text() + f"[monitoring]\nport = {free_port()}\n")

    async with serving(path):
        ended = await beside(capsys, "doctor", "listener", "--config", path, "--json", *asking)

    assert ended.code == 0, ended.out
    good = texts(ended, "ok")
    assert "the collector is ready." in good
    assert f"it serves the certificate of {tmp_path / 'server.pem'}." in good
    assert "who proves nothing gets 401 (certificate only)." in good
    assert "who proves nothing gets 401 (Kerberos, Negotiate)." in good
    assert any(text.startswith("PC$@WEF.TEST was let in by kerberos, sealed: wef-collector ") for text in good)


def test_a_listener_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And one that is not in the settings."""
    make_keys(tmp_path)
    path = make_site(tmp_path, listener=f'address = "127.0.0.1"\nport = {free_port()}', host="localhost",
                     more="[monitoring]\nport = 0")  # fmt: skip

    ended = wef(capsys, "doctor", "listener", "--config", path, "tls")

    assert ended.code == 1
    assert "nobody listens there: Connection refused" in ended.out
    assert wef(capsys, "doctor", "listener", "--config", path, "nope").code == 64
