"""[credentials.NAME] and [pull]: what a file may say, and the sentences for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.load import load
from collector.config.settings import CollectorSettings, SinkSettings
from collector.errors import OperatorError


def settings(folder: Path, text: str, **environ: str) -> CollectorSettings:
    path = folder / "collector.toml"
    path.write_text(text)
    return load(path, sinks={"events": SinkSettings}, environ=environ)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(OperatorError) as caught:
        settings(folder, text)
    return [line.strip() for line in caught.value.problems[1:]]


@pytest.mark.parametrize("table", ["credentials", "listeners"])
def test_a_table_without_its_name_says_so_and_shows_no_secret(tmp_path: Path, table: str) -> None:
    """[credentials] for [credentials.dmz] is soon written, and what is told about it goes into logs."""
    (said,) = problems(tmp_path, f'[{table}]\npassword = "hunter2"\n')

    wanted = f"a text is not a table. What has keys of its own has a name: [{table}.NAME]."
    assert said == f"at {table}.password: {wanted}"


def test_the_example_of_the_contract_is_read(tmp_path: Path) -> None:
    """contract.md 1.3, with paths beside the file and a secret that is never shown."""
    read = settings(
        tmp_path,
        """
        [credentials.dmz]
        mechanism = "kerberos"
        principal = "collector@CORP.EXAMPLE"
        keytab = "client.keytab"
        trusted_hosts = []
        [credentials.lab]
        mechanism = "negotiate"
        username = "collector@CORP.EXAMPLE"
        password = { env = "PULL_PASSWORD" }
        [credentials.cache]
        mechanism = "kerberos"
        ccache = "tickets"
        [credentials.kcm]
        mechanism = "kerberos"
        ccache = "KCM:1000"
        [pull]
        network_delay = "500ms"
        answers_size = "1GiB"
        """,
        PULL_PASSWORD="open sesame",
    )

    assert read.credentials["dmz"].keytab == tmp_path / "client.keytab"
    assert read.credentials["cache"].ccache == str(tmp_path / "tickets")
    assert read.credentials["kcm"].ccache == "KCM:1000"
    password = read.credentials["lab"].password
    assert password is not None
    assert password.get_secret_value() == "open sesame"
    assert "sesame" not in repr(read)
    assert (read.pull.network_delay, read.pull.answers_size, read.pull.http_port) == (0.5, 2**30, 5985)


@pytest.mark.parametrize("word", ["ntlm", "basic", "digest", "credssp"])
def test_mechanisms_that_are_not_built_are_refused_by_name(tmp_path: Path, word: str) -> None:
    """contract.md 1.3 knows them; whoever sets one should not search for a typing mistake."""
    assert problems(tmp_path, f'[credentials.dmz]\nmechanism = "{word}"') == [
        f'at credentials.dmz.mechanism: "{word}" is not available in this version; available are: kerberos,'
        " negotiate, certificate, none."
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[credentials.dmz]", "credentials.dmz.mechanism: this key is missing and has no default."),
        (
            '[credentials.dmz]\nmechanism = "kerberos"\nkeytabs = "a"',
            'credentials.dmz.keytabs: there is no such key. Did you mean "keytab"?',
        ),
        ('[credentials.dmz]\nmechanism = "kerbros"', 'credentials.dmz.mechanism: "kerbros" is not one of '),
        ('[credentials.dmz]\nmechanism = "kerberos"\npassword = 7', "credentials.dmz.password: a secret is a text, "),
        ('[pull]\nurl_prefix = "/wsman"', "pull.url_prefix: "),
        ('[pull]\nnetwork_delay = "100ms"', "pull.network_delay: "),
        ('[pull]\nanswers = "1GiB"', "pull.answers: there is no such key."),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_path(tmp_path: Path, text: str, said: str) -> None:
    """All problems of a file are told in one form."""
    (line,) = problems(tmp_path, text)

    assert line.startswith(f"at {said}")
