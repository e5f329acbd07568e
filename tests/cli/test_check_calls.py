"""``wef check`` on subscriptions that call their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.app import Collector
from collector.cli.settings import load_settings
from collector.errors import OperatorError
from tests.cli.running import wef
from tests.cli.site import make_keys

REST = '[[select]]\nchannel = "Security"\n'
NONE = '[credentials.nobody]\nmechanism = "none"\n'
CERTIFICATE = (
    '[credentials.lab]\nmechanism = "certificate"\ncertificate = "server.pem"\nkey = "server.key"\nca = "ca.pem"\n'
)
LISTENER = """\
[listeners.plain]
transport = "http"
address = "{address}"
port = 0
authentication = ["{mechanism}"]
"""


def make(folder: Path, subscription: str, settings: str = NONE, **files: str) -> Path:
    """collector.toml of a collector that only calls; *files* stand beside the subscription."""
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "them.toml").write_text(f'name = "them"\n{subscription}\n{REST}')
    for name, text in files.items():
        (folder / "subscriptions" / name.replace("_", ".")).write_text(text)
    path = folder / "collector.toml"
    path.write_text(f'min_free = "1KiB"\n{settings}[sinks.nothing]\ntype = "null"\n')
    return path


def check(capsys: pytest.CaptureFixture[str], path: Path) -> dict[str, list[str]]:
    """What was said, by severity; where it is told, ``SUB`` stands for the subscription's file."""
    found: dict[str, list[str]] = {"problem": [], "warning": [], "note": []}
    for row in wef(capsys, "check", "--config", path, "--json").rows:
        text = row["text"].replace(str(path.parent / "subscriptions" / "them.toml"), "SUB")
        found[row["severity"]].append(text.replace(str(path.parent / "subscriptions"), "DIR"))
    found["warning"] = [text for text in found["warning"] if not text.startswith("at sinks")]
    return found


def test_a_collector_that_only_pulls_needs_no_listener(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a firewall that lets nothing in."""
    path = make(tmp_path, 'type = "pull"\nsources = ["http://127.0.0.1:5985"]')

    assert check(capsys, path) == {"problem": [], "warning": [], "note": []}
    assert ": 0 listeners, 1 sink, 1 subscription (1 enabled).\n" in wef(capsys, "check", "--config", path).out


@pytest.mark.parametrize(
    ("subscription", "settings", "sentence"),
    [
        (
            'type = "pull"\nsources = ["127.0.0.1"]\ncredentials = "dmz"',
            NONE,
            "SUB: at credentials: there are no [credentials.dmz]; there are: nobody.",
        ),
        (
            'type = "pull"\nsources = ["127.0.0.1"]',
            NONE + NONE.replace("nobody", "other"),
            "SUB: at credentials: it is missing; say which of nobody, other its sources are called with.",
        ),
        (
            'type = "pull"\nsources = { ldap = { url = "ldaps://dc", base = "DC=x", credentials = "dmz" } }',
            NONE,
            'SUB: at sources.ldap: there are no credentials "dmz"; there are: nobody.',
        ),
        (
            'type = "pull"\nsources = { ldap = { url = "ldaps://dc", base = "DC=x", credentials = "nobody" } }',
            NONE,
            "SUB: at sources.ldap: credentials nobody are of mechanism none; a directory takes kerberos or negotiate.",
        ),
        (
            'type = "push"\nsources = ["127.0.0.1"]',
            NONE,
            "at pull.notify: a subscription of type push needs a listener, and there is none.",
        ),
        (
            'type = "push"\nsources = ["127.0.0.1"]',
            NONE + '[pull]\nnotify = "tls"\n' + LISTENER.format(address="127.0.0.1", mechanism="none"),
            'at pull.notify: there is no listener "tls"; there are: plain.',
        ),
    ],
)
async def test_a_name_that_is_not_there_stops_check_and_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], subscription: str, settings: str, sentence: str
) -> None:
    """78, as for a wrong key: it can only be a mistake."""
    path = make(tmp_path, subscription, settings)

    assert sentence in check(capsys, path)["problem"]
    with pytest.raises(OperatorError) as caught:
        await Collector(load_settings(str(path))).start()
    said = [text.replace(str(tmp_path / "subscriptions" / "them.toml"), "SUB") for text in caught.value.problems]
    assert said == [sentence]
    assert caught.value.exit_code == 78


async def test_a_list_that_cannot_be_read_stops_check_and_no_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever checks wants to know; the others are served meanwhile."""
    path = make(tmp_path, 'type = "pull"\nsources = { file = "gone.txt" }')

    assert check(capsys, path)["problem"] == ["SUB: sources DIR/gone.txt cannot be read: No such file or directory."]
    collector = Collector(load_settings(str(path)))
    await collector.start()
    await collector.stop("test")


def test_what_lists_hold_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad lines cost themselves; what stands there twice or means nothing is noted."""
    ldap = '{ ldap = { url = "ldaps://dc.corp.example", base = "DC=x" } }'
    path = make(
        tmp_path,
        f'type = "pull"\nsources = [{{ file = "hosts.txt" }}, {{ csv = "hosts.csv" }}, {ldap}]',
        hosts_txt="127.0.0.1\npc 01\n",
        hosts_csv="host,owner,credentials\n127.0.0.1,ann,\n127.0.0.2,bob,dmz\n",
    )

    found = check(capsys, path)

    assert found["problem"] == ["SUB: there are no [credentials.dmz], which 127.0.0.2 shall be called with."]
    assert [text[:45] for text in found["warning"]] == ['SUB: DIR/hosts.txt line 2: "pc 01" names no h']
    assert found["note"] == [
        "SUB: DIR/hosts.csv: columns that mean nothing here: owner.",
        "SUB: DIR/hosts.csv line 2: 127.0.0.1 is there already (DIR/hosts.txt line 1), and the first one counts.",
        "SUB: directories, which it has 1 of, are asked when the collector runs.",
    ]


@pytest.mark.parametrize(
    ("sources", "settings", "problem"),
    [
        (
            '["pc01", "pc02", "pc03", "pc04", "127.0.0.1"]',
            NONE,
            "pc01, pc02, pc03 and 1 more: called without any proof",
        ),
        ('["pc01"]', "", "pc01: called without any proof, which is for loopback only; give [credentials.NAME]"),
        (
            '{ csv = "hosts.csv" }',
            NONE + CERTIFICATE,
            "pc02: called with no credentials, because neither the subscription nor the list names any; there are:"
            " nobody, lab.",
        ),
        (
            '["http://pc01", "pc02"]',
            CERTIFICATE,
            "pc01: called by http, where no certificate can be shown; write https",
        ),
    ],
)
def test_sources_that_cannot_be_called_so_are_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sources: str, settings: str, problem: str
) -> None:
    """They would be silent for ever, each with its own sentence in the log."""
    make_keys(tmp_path)
    csv = "host,credentials\npc01,lab\npc02,\n"
    path = make(tmp_path, f'type = "pull"\nsources = {sources}', settings, hosts_csv=csv)

    (said,) = check(capsys, path)["problem"]
    assert said.startswith(f"SUB: {problem}")


def test_where_sources_push_to_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that is told of 127.0.0.1 delivers to itself."""
    path = make(
        tmp_path,
        'type = "push"\nsources = ["127.0.0.1"]',
        NONE + LISTENER.format(address="127.0.0.1", mechanism="none"),
    )

    assert check(capsys, path)["warning"] == [
        "at listeners.plain.address: sources of type push shall deliver there, and only this machine can."
    ]


def test_credentials_are_looked_at_whoever_uses_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are missing are named before anybody is called."""
    path = make(tmp_path, 'type = "pull"\nsources = ["https://127.0.0.1"]', CERTIFICATE)

    assert [text.partition(": ")[0] for text in check(capsys, path)["problem"]] == [
        f"at credentials.lab.{key}" for key in ("certificate", "key", "ca")
    ]


def test_subscriptions_say_whom_they_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 6: type, and how many; show has them all, and what is wrong with their lists."""
    path = make(
        tmp_path, 'type = "pull"\ncredentials = "nobody"\nsources = ["127.0.0.1:5985", { file = "hosts.txt" }]',
        hosts_txt="https://127.0.0.2\na b\n",
    )  # fmt: skip

    (row,) = wef(capsys, "subscriptions", "list", "--config", path, "--json").rows
    (shown,) = wef(capsys, "subscriptions", "show", "them", "--config", path, "--json").rows

    assert (row["type"], row["sources"]) == ("pull", 2)
    assert (shown["credentials"], shown["directories"]) == ("nobody", 0)
    assert shown["called"] == ["127.0.0.1:5985", "https://127.0.0.2"]
    assert len(shown["source_problems"]) == 1


def test_a_broken_subscription_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever forgot a bracket in it is not sent to look for a listener."""
    path = make(tmp_path, 'type = "pull"\nsource = ["127.0.0.1"]')

    (said,) = check(capsys, path)["problem"]
    assert "there is no such key" in said
