"""A real domain controller says who is in which group, and which machines there are: tickets of Samba's AD at the gate
and at a whole collector, and its LDAP.

Samba issues the tickets and decodes them once more; neither was written here.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.auth.base import Admitted, Visitor
from collector.auth.pac import account_and_groups
from collector.clock import SystemClock
from collector.config.settings import ListenerSettings
from collector.model import Caller
from collector.subscriptions.audience import why_not
from collector.subscriptions.subscription import Subscription
from tests.conftest import absent
from tests.end_to_end.stage import WEF, json_lines, wef
from tests.servers.fixtures import made
from tests.servers.samba import Samba, decoded_by_samba

pytestmark = pytest.mark.slow
if importlib.util.find_spec("gssapi") is None:
    absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")

ACCOUNTS = ("SRV01$", "SRV02$", "many")
SETTINGS = """\
state = "state"
min_free = "10MiB"
[monitoring]
port = 0
[listeners.domain]
transport = "http"
address = "10.53.0.2"
port = 5985
authentication = ["kerberos", "negotiate"]
keytab = "http.keytab"
[sinks.events]
type = "events"
"""
WECUTIL = """\
<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
  <SubscriptionId>guarded</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Delivery Mode="Push"><Batching><MaxLatencyTime>1000</MaxLatencyTime></Batching></Delivery>
  <Query><![CDATA[<QueryList><Query Path="Security"><Select>*</Select></Query></QueryList>]]></Query>
  <ContentFormat>Events</ContentFormat>
  <AllowedSourceDomainComputers>O:NSG:BAD:P(D;;GA;;;{sid})(A;;GA;;;DC)S:</AllowedSourceDomainComputers>
</Subscription>
"""
OURS = """\
name = "servers"
sddl = "D:(A;;GA;;;{sid})"
[delivery]
max_latency = "1s"
[[select]]
channel = "System"
"""
EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Test'/>"
    "<EventID>1</EventID><TimeCreated SystemTime='2026-01-01T00:00:00.0000001Z'/><EventRecordID>1</EventRecordID>"
    "<Channel>{channel}</Channel><Computer>{machine}.ad.test</Computer></System></Event>"
)

ASK = """
import json, sys
from collector.clock import SystemClock
from collector.config.pull import CredentialsSettings
from collector.pull.directories import Directories
from collector.subscriptions.sources import DirectorySources, SourceProblem
written, searches = map(json.loads, sys.argv[1:])
ask = Directories({name: CredentialsSettings(**one) for name, one in written.items()}, SystemClock())
def answer(search):
    try:
        return sorted(ask(DirectorySources(**search)))
    except SourceProblem as error:
        return str(error)
print(json.dumps([answer(search) for search in searches]))
"""


@pytest.fixture(scope="module")
def domain() -> Iterator[Samba]:
    with made(Samba) as domain:
        yield domain.start().wait()


def admitted(domain: Samba, account: str) -> Caller:
    """The caller that our mechanism makes of a ticket of *account*."""
    from collector.auth.kerberos import KerberosMechanism

    settings = ListenerSettings.model_construct(transport="http", authentication=["kerberos"], keytab=domain.keytab)
    (token,) = domain.tokens(account)
    verdict = KerberosMechanism("kerberos", settings, SystemClock()).admit(
        Visitor("10.53.0.9", False), f"Kerberos {token.decode()}"
    )
    assert isinstance(verdict, Admitted)
    return verdict.caller


def pac_of(domain: Samba, token: bytes) -> bytes:
    from collector.auth.gss import Acceptance, acceptor_credentials

    acceptance = Acceptance(acceptor_credentials(str(domain.keytab)), None)
    acceptance.step(base64.b64decode(token))
    pac = acceptance.proof().pac
    assert pac is not None
    return pac


def test_the_groups_of_a_ticket_are_those_that_the_domain_controller_means(domain: Samba) -> None:
    """Two machines, one in a domain-local group, and a user in 400 groups, against Samba's own decoder."""
    pacs = [pac_of(domain, token) for token in domain.tokens(*ACCOUNTS)]
    judged = decoded_by_samba(*(base64.b64encode(pac).decode() for pac in pacs))

    for account, pac, judgement in zip(ACCOUNTS, pacs, judged, strict=True):
        sid, groups = account_and_groups(pac)
        assert (sid, sorted(groups)) == (judgement["sid"], judgement["groups"])
        assert sid == domain.sid(account)
        assert groups >= set(domain.directory["accounts"][account]["groups"])
    assert len(judged[2]["groups"]) > 400


def test_a_caller_of_the_domain_carries_its_sids(domain: Samba) -> None:
    """Domain Computers is what nearly every descriptor speaks of; a user is not in it."""
    machine, user = admitted(domain, "SRV01$"), admitted(domain, "many")

    assert (machine.key, machine.name) == ("srv01$@ad.test", "srv01")
    assert machine.sids is not None
    assert user.sids is not None
    assert {domain.sid("SRV01$"), f"{domain.directory['domain']}-515"} <= machine.sids
    assert f"{domain.directory['domain']}-513" in user.sids
    assert f"{domain.directory['domain']}-515" not in user.sids


def test_the_order_of_a_descriptor_decides_about_real_machines(domain: Samba) -> None:
    """By account, by group, and by the first entry that fits."""
    callers = {account: admitted(domain, account) for account in ACCOUNTS}
    denied = f"(D;;GA;;;{domain.sid('SRV02$')})"
    guarded = domain.directory["groups"]["Guarded"]

    def let_in(dacl: str) -> set[str]:
        subscription = Subscription("s", "i", "q", sddl=f"O:NSG:BAD:P{dacl}S:")
        return {account for account, caller in callers.items() if not why_not(subscription, caller)}

    assert let_in("(A;;GA;;;DC)(A;;GA;;;NS)") == {"SRV01$", "SRV02$"}
    assert let_in(f"{denied}(A;;GA;;;DC)") == {"SRV01$"}
    assert let_in(f"(A;;GA;;;DC){denied}") == {"SRV01$", "SRV02$"}
    assert let_in(f"(A;;GA;;;{guarded})") == {"SRV02$"}
    assert let_in(f"(D;;GA;;;{guarded})(A;;GA;;;AU)") == {"SRV01$", "many"}
    assert let_in("(A;;GA;;;DD)(A;;GA;;;DA)") == set()


def test_a_collector_in_the_domain_serves_each_machine_what_is_meant_for_it(domain: Samba, tmp_path: Path) -> None:
    """``wef serve`` with a keytab of the domain; two machines; one may have both subscriptions, the other one."""
    (tmp_path / "collector.toml").write_text(SETTINGS)
    (tmp_path / "http.keytab").write_bytes(domain.keytab.read_bytes())
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "subscriptions" / "guarded.xml").write_text(WECUTIL.format(sid=domain.sid("SRV02$")))
    (tmp_path / "subscriptions" / "servers.toml").write_text(OURS.format(sid=domain.directory["groups"]["Servers"]))
    events = tmp_path / "events.jsonl"
    events.write_text("".join(
        json.dumps({"xml": EVENT.format(channel=channel, machine=machine)}) + "\n"
        for machine in ("SRV01", "SRV02") for channel in ("Security", "System")
    ))  # fmt: skip

    with (tmp_path / "collector.log").open("wb") as log:
        serving = subprocess.Popen(domain.inside(*WEF, "serve"), cwd=tmp_path, stdout=log, stderr=log)
    try:
        said = domain.run(
            *WEF, "simulate", "--url", f"http://{domain.host}:5985/wsman/SubscriptionManager/WEC", "--events",
            str(events), "--mechanism", "negotiate", "--keytab", str(domain.sources),
            "--retry-interval", "1", "--give-up", "5", "--json", folder=tmp_path,
        )  # fmt: skip
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(30)

    assert json.loads(said.splitlines()[-1])["refused"] == 0
    sources = json_lines(wef("sources", "list", "--json", folder=tmp_path).stdout)
    assert sorted((row["key"], row["events"]) for row in sources) == [
        ("srv01$@ad.test", 1), ("srv01$@ad.test", 1), ("srv02$@ad.test", 1),
    ]  # fmt: skip
    stored = json_lines(wef("events", "search", "--limit", "0", "--json", folder=tmp_path).stdout)
    assert sorted((event["winlog"]["computer_name"], event["winlog"]["channel"]) for event in stored) == [
        ("SRV01.ad.test", "Security"), ("SRV01.ad.test", "System"), ("SRV02.ad.test", "System"),
    ]  # fmt: skip


def asked(domain: Samba, *searches: dict[str, str]) -> list[list[str] | str]:
    """The hosts that each of *searches* finds, or the sentence why it finds none."""
    keytab = {"mechanism": "kerberos", "principal": "SRV01$@AD.TEST", "keytab": str(domain.sources)}
    password = {"mechanism": "negotiate", "username": "many@AD.TEST", "password": "Test!Passw0rd-many"}
    ca = {"ca": str(domain.folder / "dc/private/tls/ca.pem")}
    written = {"keytab": keytab | ca, "password": password | ca, "stranger": keytab}
    written["wrong"] = written["password"] | {"password": "x"}
    whole = [{"url": "ldap://dc1.ad.test", "base": "DC=ad,DC=test", "credentials": "keytab"} | one for one in searches]
    said = domain.run(sys.executable, "-W", "ignore", "-c", ASK, json.dumps(written), json.dumps(whole))
    found: list[list[str] | str] = json.loads(said)
    return found


@pytest.mark.parametrize("url", ["ldap://dc1.ad.test", "ldaps://dc1.ad.test"])
@pytest.mark.parametrize("way", [{}, {"credentials": "password"}, {"credentials": "password", "bind": "simple"}])
def test_the_directory_names_the_machines_that_are_in_service(domain: Samba, url: str, way: dict[str, str]) -> None:
    """By keytab or password: Kerberos seals where there is no TLS, a password goes into TLS only. OLD is disabled."""
    assert asked(domain, {"url": url} | way) == [["dc1.ad.test", "srv01.ad.test", "srv02.ad.test"]]


def test_a_directory_is_asked_for_what_the_subscription_says(domain: Samba) -> None:
    """Base, filter and attribute; and all of it, however many pages that takes: the controller has 440 groups."""
    servers = {"filter": "(&(objectCategory=computer)(memberOf=CN=Servers,CN=Users,DC=ad,DC=test))", "attribute": "CN"}

    machines, groups, none = asked(
        domain, servers, {"filter": "(objectClass=group)", "attribute": "cn"}, {"base": "CN=Users,DC=ad,DC=test"}
    )

    assert machines == ["SRV01", "SRV02"]
    assert {f"G{number:03}" for number in range(400)} < set(groups)
    assert none == []


def test_what_a_directory_refuses_is_said_with_what_would_be_right(domain: Samba) -> None:
    """It is in the log and in ``wef check``; nobody should need another tool to understand it."""
    said = asked(
        domain,
        {"url": "ldaps://dc1.ad.test", "credentials": "stranger"},
        {"url": "ldaps://10.53.0.1"},
        {"credentials": "wrong", "bind": "simple"},
        {"credentials": "wrong"},
        {"base": "DC=nowhere"},
        {"base": "nowhere"},
        {"filter": "(a"},
        {"url": "ldap://nowhere.ad.test"},
        {"url": "ldap://dc1.ad.test:390"},
        {"url": "ldap://wec.ad.test"},
    )

    wanted = [
        "its certificate is not accepted (unable to get local issuer certificate)",
        "its certificate is not accepted (IP address mismatch",
        "it does not accept the account or its password",
        "many@AD.TEST got no ticket",
        'there is no such base; write it such as "OU=Servers,DC=corp,DC=example"',
        'base "nowhere" is no name of an object',
        'filter "(a" is none (RFC 4515)',
        "its name is not known, by DNS or the hosts file",
        "Connection refused",
        "Server not found in Kerberos database",
    ]
    assert [sentence for sentence, part in zip(said, wanted, strict=True) if part not in sentence] == []
    assert all(str(sentence).startswith("ldap") for sentence in said)
    assert "Passw0rd" not in str(said)
