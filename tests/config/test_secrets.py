"""Secrets are read from where they stand, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from collector.config.explain import explain
from collector.config.paths import Place
from collector.config.secrets import Secret
from collector.config.settings import Settings

WORD = "xyzzy-plugh-42"


class Vault(Settings):
    password: Secret


def read(value: object, folder: Path = Path(), **environ: str) -> str:
    vault = Vault.model_validate({"password": value}, context=Place(folder, environ))
    return vault.password.get_secret_value()


def complaint(value: object, folder: Path = Path()) -> str:
    with pytest.raises(ValidationError) as caught:
        Vault.model_validate({"password": value}, context=Place(folder, {"EMPTY": ""}))
    return " ".join(sentence for _, sentence in explain(caught.value, Vault))


def test_a_secret_is_a_text_a_file_or_a_variable(tmp_path: Path) -> None:
    """contract.md 1: the three ways, the file beside collector.toml and without the editor's line end."""
    (tmp_path / "es.key").write_text(f"{WORD}\n")

    assert read(WORD) == WORD
    assert read({"file": "es.key"}, tmp_path) == WORD
    assert read({"env": "ES_KEY"}, ES_KEY=WORD) == WORD


def test_a_secret_is_masked_wherever_settings_are_shown() -> None:
    """Settings end up in logs and bug reports."""
    vault = Vault.model_validate({"password": WORD})

    assert WORD not in repr(vault)
    assert WORD not in str(vault)
    assert WORD not in vault.model_dump_json()


def test_a_secret_of_a_wrong_kind_is_refused_without_quoting_it() -> None:
    """A sentence about a password must not hold the password."""
    assert complaint([WORD]) == 'a secret is a text, { file = "path" } or { env = "NAME" }.'
    assert WORD not in complaint({"fle": WORD})
    assert WORD not in complaint({"file": "x", "extra": WORD})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"env": "NOBODY_SET_THIS"}, "the environment has no variable NOBODY_SET_THIS"),
        ({"env": "EMPTY"}, "the variable EMPTY is empty"),
        ({"file": "absent.key"}, "cannot be read: No such file or directory"),
        ({"file": "empty.key"}, "the secret file empty.key is empty"),
        ({"file": "huge.key"}, "more than 65536 bytes"),
        ("", "the secret is empty"),
    ],
)
def test_a_secret_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path, value: object, sentence: str) -> None:
    """An empty password would be tried against the far end a thousand times."""
    (tmp_path / "empty.key").write_text("\n")
    (tmp_path / "huge.key").write_bytes(b"x" * 70_000)

    assert sentence in complaint(value, tmp_path)
