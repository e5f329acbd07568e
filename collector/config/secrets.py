"""Secrets as people write them: a text, a file or a variable of the environment (contract.md 1).

A secret is never quoted: not in an error, not in a repr, not in a log. Whoever needs it
asks for ``get_secret_value()``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from collector.config.paths import place_of

LARGEST = 65536
"""Bytes of a secret file: an API key has under a hundred, a PEM key a few thousand."""


def parse_secret(value: object, info: ValidationInfo) -> SecretStr:
    """Masked, whatever it was written as. Raises ValueError with a sentence that does not quote it."""
    match value:
        case SecretStr():
            return value
        case str():
            return _not_empty(value, "the secret")
        case {"file": str(name), **rest} if not rest:
            return _not_empty(_read(place_of(info).folder / name), f"the secret file {name}")
        case {"env": str(name), **rest} if not rest:
            found = place_of(info).environ.get(name)
            if found is None:
                raise ValueError(f"the environment has no variable {name}; set it, or use {{ file = ... }}")
            return _not_empty(found, f"the variable {name}")
        case _:
            raise ValueError('a secret is a text, { file = "path" } or { env = "NAME" }')


Secret = Annotated[SecretStr, BeforeValidator(parse_secret)]


def _not_empty(text: str, what: str) -> SecretStr:
    if not text:
        raise ValueError(f"{what} is empty")
    return SecretStr(text)


def _read(path: Path) -> str:
    """The text of a secret file without the line end that editors add."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"the secret file {path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ValueError(f"the secret file {path} has more than {LARGEST} bytes; that is no secret")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"the secret file {path} is no UTF-8 text") from error
