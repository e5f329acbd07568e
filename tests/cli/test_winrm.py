"""``wef winrm``: against a pretend Windows machine, against our own collector, and where nobody answers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.app import Collector
from collector.cli.settings import load_settings
from collector.cli.winrm import resource_of
from collector.wire.connection import Connection
from collector.wsman import calls, names
from collector.wsman.answers import Enumerated, Pulled
from tests.cli.running import Ended, wef
from tests.cli.site import make_keys
from tests.conftest import absent
from tests.end_to_end.stage import free_port
from tests.servers.kdc import Kdc
from tests.simulate.caller import Caller, standing

LISTENERS = "winrm/config/listener"
SITE = 'min_free = "1KiB"\n[monitoring]\nport = 0\n[sinks.nothing]\ntype = "null"\n'


@pytest.fixture(autouse=True)
def _no_settings_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEF_CONFIG", raising=False)


async def beside(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """``wef winrm`` in a thread, while the far end serves in this one."""
    return await asyncio.to_thread(wef, capsys, "winrm", *arguments)


def written(folder: Path, *listeners: str) -> Path:
    (folder / "subscriptions").mkdir(exist_ok=True)
    path = folder / "site.toml"
    path.write_text(SITE + "".join(listeners))
    return path


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Collector]:
    collector = Collector(load_settings(str(path)))
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop("test")


# Of a Windows machine ------------------------------------------------------------------------------------------------


async def test_a_machine_is_shown_as_winrm_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The layout that administrators know (protocol.md 11.7): id, get, enumerate."""
    async with standing() as stand:
        said = await beside(capsys, "id", stand.url, "--mechanism", "none")
        config = await beside(capsys, "get", stand.url, "--mechanism", "none")
        listeners = await beside(capsys, "enumerate", stand.url, LISTENERS, "--mechanism", "none")

    assert said.code == config.code == listeners.code == 0
    assert said.out.startswith(
        "IdentifyResponse\n    ProtocolVersion = http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\n"
    )
    assert "    ProductVersion = OS: 10.0.20348 SP: 0.0 Stack: 3.0\n" in said.out
    assert config.out.startswith("Config\n    MaxEnvelopeSizekb = 500\n")
    assert "\n    Client\n        NetworkDelayms = 5000\n" in config.out
    assert "\n    Transport = HTTP\n" in listeners.out
    assert "\n    Hostname\n" in listeners.out


async def test_a_part_of_it_and_the_other_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """One object for programs, the XML as it came for whoever wants to see it."""
    async with standing() as stand:
        place = (stand.url, "winrm/config/service/auth", "--mechanism", "none")
        as_json = await beside(capsys, "get", *place, "--json")
        as_xml = await beside(capsys, "get", *place, "--format", "xml")
        chosen = await beside(
            capsys, "get", stand.url, f"{LISTENERS}?Address=*+Transport=HTTP", "--mechanism", "none", "--format", "json"
        )

    assert as_json.rows[0]["Auth"]["CbtHardeningLevel"] == "Relaxed"
    assert as_xml.out.startswith("<cfg:Auth xmlns:cfg=")
    assert chosen.rows[0]["Listener"]["Transport"] == "HTTP"


async def test_a_fault_is_told_with_its_number_and_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """Not permitted is 77, any other no is 1."""
    async with standing() as stand:
        stand.manners.say_next("denied")
        denied = await beside(capsys, "get", stand.url, "--mechanism", "none")
        missing = await beside(capsys, "get", stand.url, "winrm/config/nothing", "--mechanism", "none")

    assert denied.code == 77
    assert "w:AccessDenied 5: Access is denied." in denied.err
    assert "RootSDDL" in denied.err
    assert missing.code == 1
    assert "a:DestinationUnreachable/InvalidResourceURI 0x80338000" in missing.err


@pytest.mark.parametrize(
    ("mood", "code", "said"),
    [("html", 1, "text/html"), ("empty", 1, "without a body"), ("cut-body", 69, "before its answer was complete")],
)
async def test_what_is_no_answer_is_said_so(
    capsys: pytest.CaptureFixture[str], mood: str, code: int, said: str
) -> None:
    """Whatever has the port: a sentence, never a traceback."""
    async with standing(mood) as stand:
        ended = await beside(capsys, "get", stand.url, "--mechanism", "none")

    assert ended.code == code
    assert said in ended.err


def test_nobody_there_is_69_and_no_such_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    """With the policy and the firewall rule that would help."""
    nobody = wef(capsys, "winrm", "id", f"127.0.0.1:{free_port()}", "--mechanism", "none")
    unknown = wef(capsys, "winrm", "id", "pc01.invalid", "--mechanism", "none")

    assert (nobody.code, unknown.code) == (69, 69)
    assert "winrm quickconfig" in nobody.err
    assert "Windows Remote Management (HTTP-In)" in nobody.err
    assert "name" in unknown.err


# How it is called ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written_", "uri", "selectors"),
    [
        ("winrm/config", "http://schemas.microsoft.com/wbem/wsman/1/config", []),
        ("WinRM/Config/Listener/", "http://schemas.microsoft.com/wbem/wsman/1/Config/Listener", []),
        ("wmicimv2/Win32_Service?Name=WinRM", "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service",
         [("Name", "WinRM")]),
        ('urn://x?A="a+b"+B=c', "urn://x", [("A", "a+b"), ("B", "c")]),
    ],
)  # fmt: skip
def test_resources_are_named_as_for_winrm(written_: str, uri: str, selectors: list[tuple[str, str]]) -> None:
    """Aliases, whole URIs, selectors joined by plus signs, quoted where they hold one."""
    assert resource_of(written_) == (uri, selectors)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("id", "10.1.1.999"), "names no host"),
        (("get", "pc01", "config"), "is no resource"),
        (("get", "pc01", "winrm/config/listener?Address"), "write selectors as"),
        (("get", "pc01", "winrm/config/listener?"), "behind ? there should be selectors"),
        (("enumerate", "pc01", f"{LISTENERS}?Address=*"), "wef winrm get shows it"),
        (("id", "pc01", "--credentials", "dmz", "--keytab", "k"), ""),
        (("id", "pc01", "--keytab", "k"), "--principal: it is missing"),
        (("id", "pc01", "--mechanism", "certificate"), "--certificate: it is missing"),
    ],
)
def test_what_cannot_be_meant_is_usage(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """64 and what would be right; 78 where settings are named that are not there."""
    ended = wef(capsys, "winrm", *arguments)

    assert ended.code == (78 if "--credentials" in arguments else 64)
    assert said in ended.err


async def test_what_cannot_be_believed_begins_with_the_url_and_ends_with_a_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody tries a hundred machines in a loop, and reads only the end."""
    for mood in ("foreign-charset", "garbage", "redirect", "error", "busy"):
        async with standing(f"get:{mood}") as stand:
            ended = await beside(capsys, "get", stand.url, "--mechanism", "none")

        said, remedy = ended.err.splitlines()
        assert ended.code == 1
        assert said.startswith(f"{stand.url}/wsman: HTTP ")
        assert remedy.startswith("  -> ")
        assert "is it WinRM" not in said


async def test_who_gave_no_credentials_is_told_how_and_nothing_of_tickets(capsys: pytest.CaptureFixture[str]) -> None:
    """The remedies of Kerberos are for those who use it."""
    async with standing("get:unauthorized") as stand:
        ended = await beside(capsys, "get", stand.url, "--mechanism", "none")

    assert ended.code == 77
    assert ended.err.count("http://") == 1
    assert "  -> Say as whom it is called: --mechanism kerberos" in ended.err
    assert "SPN" not in ended.err


def test_a_mistake_in_an_option_is_named_as_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no --password, and nobody should look for it."""
    gone = wef(capsys, "winrm", "id", "pc01", "--username", "a@B", "--password-file", "gone")
    odd = wef(capsys, "winrm", "id", "pc01", "--trust", "a b")

    assert (gone.code, odd.code) == (64, 64)
    assert "--password-file: the secret file gone cannot be read" in gone.err
    assert odd.err.startswith('--trust: "a b" names no host')


def test_the_settings_know_the_credentials(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """By name; the only ones need none; of several one must be said."""
    path = written(tmp_path, '[credentials.a]\nmechanism = "none"\n')
    ask = ("winrm", "id", f"127.0.0.1:{free_port()}", "--config", path)
    assert wef(capsys, *ask).code == 69
    assert "there is no [credentials.b] in the settings; there are: a." in wef(capsys, *ask, "--credentials", "b").err
    assert "leave out --ca" in wef(capsys, *ask, "--credentials", "a", "--ca", "x").err
    path.write_text(path.read_text() + '[credentials.b]\nmechanism = "none"\n')
    assert "say --credentials a or b" in wef(capsys, *ask).err


# Of our own collector ------------------------------------------------------------------------------------------------


async def test_our_collector_answers_winrm(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """id, get and enumerate over the door, the reader, the exchange and the writer."""
    here = '[listeners.here]\ntransport = "http"\naddress = "127.0.0.1"\nport = 0\nauthentication = ["none"]\n'
    async with serving(written(tmp_path, here)) as collector:
        port = collector.addresses["here"][0][1]
        url = f"http://127.0.0.1:{port}"
        said = await beside(capsys, "id", url, "--mechanism", "none", "--json")
        config = await beside(capsys, "get", url, "--mechanism", "none", "--json")
        listeners = await beside(capsys, "enumerate", url, LISTENERS, "--mechanism", "none", "--json")
        one = f"{LISTENERS}?Address=IP:127.0.0.1+Transport=HTTP"
        chosen = await beside(capsys, "get", url, one, "--mechanism", "none", "--json")
        shell = await beside(capsys, "get", url, "winrm/windows/shell/cmd", "--mechanism", "none")

    def objects(ended: Ended) -> list[str]:
        return [line for line in ended.out.splitlines() if line.startswith(('{"Id', '{"Co', '{"Li'))]

    assert '"ProductVendor":"wef-collector"' in objects(said)[0]
    assert f'"DefaultPorts":{{"HTTP":"{port}"' in objects(config)[0]
    assert objects(listeners) == objects(chosen)
    assert f'"Port":"{port}"' in objects(chosen)[0]
    assert shell.code == 1
    assert "a:DestinationUnreachable" in shell.err


async def test_it_answers_in_the_charset_of_the_question(tmp_path: Path) -> None:
    """winrm writes UTF-16, most others UTF-8; both with their MessageID and a context that any of them may use."""
    here = '[listeners.here]\ntransport = "http"\naddress = "127.0.0.1"\nport = 0\nauthentication = ["none"]\n'
    async with serving(written(tmp_path, here)) as collector:
        url = f"http://127.0.0.1:{collector.addresses['here'][0][1]}/wsman"
        for charset in ("UTF-8", "UTF-16"):
            async with Connection(url, context=None, prove=None, timeout=10.0) as connection:
                caller = Caller(connection, url, charset=charset)
                voice = caller.voice(names.CONFIG_LISTENER)
                begun = await caller.say(
                    lambda said, voice=voice: calls.write_resource_enumerate(  # type: ignore[misc]
                        voice, message_id=said, timeout=5
                    ).replace("<w:OptimizeEnumeration/>", "")
                )
                assert isinstance(begun, Enumerated)
                assert (list(begun.items), begun.ended) == ([], False)
                pulled = await caller.say(
                    lambda said, voice=voice, at=begun.context: calls.write_resource_pull(  # type: ignore[misc]
                        voice, at or "", message_id=said, timeout=5, max_elements=10
                    )
                )
                assert isinstance(pulled, Pulled)
                assert (len(pulled.pieces), pulled.ended) == (1, True)


async def test_the_thumbprint_is_that_of_the_served_certificate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is how Windows names certificates; whoever sees another one looks at the wrong file. After a reload too."""
    from cryptography import x509

    from collector.auth.certificate import thumbprint

    make_keys(tmp_path, names=("localhost",))
    tls = (
        f'[listeners.tls]\ntransport = "https"\naddress = "127.0.0.1"\nport = {free_port()}\n'
        'certificate = "server.pem"\nkey = "server.key"\nclient_ca = ["ca.pem"]\n'
    )
    async with serving(written(tmp_path, tls)) as collector:
        for renewed in (False, True):
            if renewed:
                make_keys(tmp_path, names=("localhost",))
                await collector.reload()
            served = x509.load_pem_x509_certificates((tmp_path / "server.pem").read_bytes())[0]
            assert collector._listeners["tls"].thumbprint == thumbprint(served)


# Sealed --------------------------------------------------------------------------------------------------------------

PSRP = """
import sys, xml.etree.ElementTree as ET
from pypsrp.wsman import WSMan, SelectorSet
C = "http://schemas.microsoft.com/wbem/wsman/1/config"
wsman = WSMan("localhost", port=int(sys.argv[1]), ssl=False, auth="kerberos", encryption="always",
              negotiate_service="HTTP")
print(wsman.get_server_config().find(".//{%s}MaxEnvelopeSizekb" % C).text)
chosen = SelectorSet()
chosen.add_option("Address", "IP:127.0.0.1")
chosen.add_option("Transport", "HTTP")
print(wsman.get(C + "/listener", selector_set=chosen).find(".//{%s/listener}Port" % C).text)
n = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
begun = wsman.enumerate(C + "/listener", ET.Element("{%s}Enumerate" % n))
asked = ET.Element("{%s}Pull" % n)
ET.SubElement(asked, "{%s}EnumerationContext" % n).text = begun.find(".//{%s}EnumerationContext" % n).text
print(wsman.pull(C + "/listener", asked).find(".//{%s/listener}Transport" % C).text)
try:
    wsman.put(C, ET.Element("{%s}Config" % C))
except Exception as error:
    print(type(error).__name__, "ActionNotSupported" in str(error) or "read-only" in str(error))
"""


@pytest.fixture
def realm(kdc: Kdc) -> Kdc:
    for package in ("gssapi", "pypsrp"):
        if importlib.util.find_spec(package) is None:
            absent(f"the Python package {package} is not there: tests/servers/install builds it")
    return kdc


async def test_sealed_it_is_the_same_for_us_and_for_a_foreign_client(
    realm: Kdc, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By Kerberos over http: our client, and pypsrp with its own envelopes, tokens and seals."""
    keytab = realm.keytab("HTTP/localhost")
    here = (
        '[listeners.here]\ntransport = "http"\naddress = "127.0.0.1"\nport = 0\nauthentication = ["kerberos"]\n'
        f'keytab = "{keytab}"\n'
    )
    async with serving(written(tmp_path, here)) as collector:
        port = collector.addresses["here"][0][1]
        ours = await beside(
            capsys, "get", f"localhost:{port}", "winrm/config/service/auth", "--json",
            "--principal", realm.full("puller"), "--keytab", realm.keytab("puller"),
        )  # fmt: skip
        theirs = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore", "-c", PSRP, str(port),
            env={**os.environ, **realm.environment_of("PSRP$")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await theirs.communicate()

    assert '"Kerberos":"true","Negotiate":"false"' in ours.out
    assert out.decode().split() == ["16384", str(port), "HTTP", "WSManFaultError", "True"], err.decode()
