"""collector.toml: found, read, and refused in sentences that a tired person understands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from collector.config import load as loading
from collector.config.load import find, load
from collector.config.paths import FilePath
from collector.config.secrets import Secret
from collector.config.settings import CollectorSettings, SinkSettings
from collector.errors import OperatorError


class EventsSettings(SinkSettings):
    type: Literal["events"] = "events"


class SiemSettings(SinkSettings):
    """A sink with everything a sink can have."""

    type: Literal["siem"] = "siem"
    brokers: list[str] = Field(min_length=1)
    ca: FilePath | None = None
    password: Secret | None = None


SINKS: Mapping[str, type[SinkSettings]] = {"events": EventsSettings, "siem": SiemSettings}

TLS = """
[listeners.tls]
transport = "https"
certificate = "tls/server.pem"
key = "/etc/ssl/server.key"
client_ca = ["tls/ca.pem"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "collector.toml"
    path.write_text(text)
    return path


def settings(folder: Path, text: str, **environ: str) -> CollectorSettings:
    return load(written(folder, text), sinks=SINKS, environ=environ)


def problems(folder: Path, text: str) -> list[str]:
    """The refusal's lines after the first, which counts them."""
    with pytest.raises(OperatorError) as caught:
        settings(folder, text)
    first, *rest = caught.value.problems
    assert caught.value.exit_code == 78
    assert first == f"{folder / 'collector.toml'} has {len(rest)} problem{'s' if len(rest) != 1 else ''}."
    return rest


def test_an_empty_file_is_a_working_collector(tmp_path: Path) -> None:
    """Every key has a default that loses nothing: events are kept in the embedded store."""
    found = settings(tmp_path, "")

    assert list(found.sinks) == ["events"]
    assert found.sinks["events"].required
    assert found.sinks["events"].takes_everything
    assert found.state == tmp_path / "state"
    assert found.subscriptions.path == tmp_path / "subscriptions"
    assert (found.monitoring.address, found.monitoring.port) == ("127.0.0.1", 9598)


def test_relative_paths_start_at_the_file_and_not_at_the_caller(tmp_path: Path) -> None:
    """systemd, cron and a shell start in different folders; the state must be the same one."""
    found = settings(tmp_path, f'state = "var"\n[subscriptions]\npath = "subs"\n{TLS}')

    assert found.state == tmp_path / "var"
    assert found.subscriptions.path == tmp_path / "subs"
    assert found.listeners["tls"].certificate == tmp_path / "tls/server.pem"
    assert found.listeners["tls"].client_ca == [tmp_path / "tls/ca.pem"]
    assert found.listeners["tls"].key == Path("/etc/ssl/server.key")


def test_sinks_are_read_by_their_own_class(tmp_path: Path) -> None:
    """A sink's keys are the sink's business; paths and secrets work in them as everywhere."""
    found = settings(
        tmp_path,
        '[sinks.a]\ntype = "siem"\nbrokers = ["h:9092"]\nca = "ca.pem"\npassword = { env = "PW" }\nspool = "1MiB"',
        PW="hush",
    )

    sink = found.sinks["a"]
    assert isinstance(sink, SiemSettings)
    assert sink.ca == tmp_path / "ca.pem"
    assert sink.password is not None
    assert sink.password.get_secret_value() == "hush"
    assert sink.spool == 2**20
    assert list(found.sinks) == ["a"]


def test_every_problem_is_reported_at_once_with_its_path(tmp_path: Path) -> None:
    """Fix one, start, find the next: nobody has the evening for that."""
    text = """
stat = "x"
min_free = "1 zillion"
[sinks.siem]
type = "siem"
brokers = []
match = { chanel = "Security", event_id = [true], level = [] }
[sinks.other]
type = "event"
[log]
level = "loud"
[monitoring]
port = "9598"
"""
    assert problems(tmp_path, text) == [
        "  at min_free: '1 zillion' is no size; write \"4GiB\", \"512KiB\" or a number of bytes.",
        '  at monitoring.port: "9598" is not a whole number.',
        "  at log.level: \"loud\" is not one of 'debug', 'info', 'warning' or 'error'.",
        '  at stat: there is no such key. Did you mean "state"?',
        '  at sinks.siem.match.chanel: there is no such key. Did you mean "channel"?',
        '  at sinks.siem.match.event_id: true is not a number, a range such as "4720-4729", or a list of them.',
        '  at sinks.siem.match.level: the list is empty and would take nothing; give a number, a range such as'
        ' "4720-4729", or a list of them, or leave the key out.',
        "  at sinks.siem.brokers: the list is empty; give at least one.",
        "  at sinks.other.type: there is no sink type 'event'. Did you mean \"events\"?",
    ]  # fmt: skip


def test_an_unknown_key_names_the_nearest_one_wherever_it_stands(tmp_path: Path) -> None:
    """A misspelt key that is ignored is a setting that silently does not hold."""
    text = f'{TLS}adress = "127.0.0.1"\n[limits]\nbody_sice = "1MiB"\n[sinks.s]\ntype = "siem"\nbroker = ["a:1"]'

    found = "\n".join(problems(tmp_path, text))

    assert 'at listeners.tls.adress: there is no such key. Did you mean "address"?' in found
    assert 'at limits.body_sice: there is no such key. Did you mean "body_size"?' in found
    assert 'at sinks.s.broker: there is no such key. Did you mean "brokers"?' in found
    assert "at sinks.s.brokers: this key is missing and has no default." in found


def test_a_key_that_resembles_nothing_is_told_what_there_is(tmp_path: Path) -> None:
    """Then the reader can choose."""
    assert problems(tmp_path, "[log]\nzzz = 1") == ["  at log.zzz: there is no such key. There are: level, format."]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", "  at line 2: here must stand a value"),
        ('a = 1\nb = "x\n', "  at line 2: a text must end on the line where it begins"),
        ('state = "a"\nstate = "b"', "  at line 2: this key was given before; keep one of them"),
        ("[log\n", "  at line 1: "),
        ("just words", "  at line 1: a key must be followed by = and its value"),
    ],
)
def test_a_file_that_is_no_toml_names_the_line(tmp_path: Path, text: str, line: str) -> None:
    """contract.md 1: the line where the syntax is wrong."""
    (found,) = problems(tmp_path, text)

    assert found.startswith(line)


def test_a_file_in_another_encoding_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Windows editors like to save in a code page."""
    path = tmp_path / "collector.toml"
    path.write_bytes(b'name = "M\xfcnchen"')

    with pytest.raises(OperatorError, match="this is not UTF-8"):
        load(path, sinks=SINKS)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Notepad adds one."""
    path = tmp_path / "collector.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "wec"')

    assert load(path, sinks=SINKS).name == "wec"


def test_settings_are_found_where_they_were_named(tmp_path: Path) -> None:
    """The option wins over the environment."""
    one, two = written(tmp_path, ""), tmp_path / "other.toml"
    two.write_text("")

    assert find(str(one), {"WEF_CONFIG": str(two)}) == one
    assert find(None, {"WEF_CONFIG": str(two)}) == two


def test_a_named_file_that_is_missing_is_never_replaced_by_another(tmp_path: Path) -> None:
    """Starting with other settings than the ones asked for would be worse than not starting."""
    written(tmp_path, "")

    with pytest.raises(OperatorError, match=r"/nowhere\.toml \(--config\) is not there"):
        find("/nowhere.toml", {})
    with pytest.raises(OperatorError, match=r"/nowhere\.toml \(\$WEF_CONFIG\) is not there"):
        find(None, {"WEF_CONFIG": "/nowhere.toml"})


def test_without_any_settings_every_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that people know where to put them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "SYSTEM", tmp_path / "etc" / "collector.toml")

    with pytest.raises(OperatorError) as caught:
        find(None, {})

    assert caught.value.exit_code == 78
    for place in ("--config", "$WEF_CONFIG", str(tmp_path / "collector.toml"), str(tmp_path / "etc/collector.toml")):
        assert place in str(caught.value)

    written(tmp_path, "")
    assert find(None, {}) == Path("collector.toml")
