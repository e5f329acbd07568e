"""Where a file of settings stands, and what follows from it: relative paths start there.

``Place`` is handed in as the validation context; without one, paths stay as they are
written. It opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of the file that is read, and the environment that its secrets may name."""

    folder: Path = Path()
    environ: Mapping[str, str] = field(default_factory=dict)


def place_of(info: ValidationInfo) -> Place:
    """The place handed in as context, or one that changes nothing."""
    return info.context if isinstance(info.context, Place) else Place()


def parse_path(value: object, info: ValidationInfo) -> Path:
    """A path; a relative one starts at the file's folder (contract.md 1). Raises ValueError."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f'{value!r} is no path; write a text such as "tls/server.pem"')
    return place_of(info).folder / value


def parse_path_text(value: object, info: ValidationInfo) -> str:
    """The same for a text with ``{placeholders}`` in it, which stays a text."""
    return str(parse_path(value, info))


FilePath = Annotated[Path, BeforeValidator(parse_path)]
PathText = Annotated[str, BeforeValidator(parse_path_text)]
