"""``wef subscriptions import``: other collectors' files into the folder of subscriptions, one by one.

A broken file is reported with its line and takes no other with it. Nothing is overwritten
unasked, and nothing is written that would make the folder one that no collector starts with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from collector.cli.output import config_option, json_option, print_rows
from collector.cli.settings import load_settings
from collector.errors import OperatorError
from collector.store.database import sync_folder
from collector.subscriptions.folder import read_file
from collector.subscriptions.importing import file_name, import_text, read_foreign
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.subscription import Subscription

COLUMNS = ("file", "name", "written", "notes")
BROKEN, CANNOT_CREATE, NOT_PERMITTED = 65, 73, 77


class Target:
    """The folder that is imported into, and which subscriptions it holds."""

    def __init__(self, folder: Path, *, force: bool) -> None:
        self._folder = folder
        self._force = force
        self._written: dict[Path, Path] = {}  # and from which file
        self._names: dict[str, Path] = {}
        self._ids: dict[str, Path] = {}

    def open(self) -> None:
        """Make the folder and look at what it holds. Raises ``OperatorError``."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            files = sorted(entry for entry in self._folder.iterdir() if entry.suffix.lower() in (".toml", ".xml"))
        except OSError as error:
            code = NOT_PERMITTED if isinstance(error, PermissionError) else CANNOT_CREATE
            raise OperatorError(f"{self._folder} cannot be used: {error.strerror}.", exit_code=code) from error
        for file in files:
            try:
                self._note(read_file(file), file)
            except FileProblems:  # ``wef check`` speaks of those
                continue

    def put(self, file: Path, subscription: Subscription, text: str) -> Path:
        """Write the *text* that was made of *file*, durably; answers where. Raises ``OperatorError``."""
        path = self._folder / file_name(subscription.name)
        taken = self._names.get(subscription.name.lower()) or self._ids.get(subscription.id)
        if path in self._written:
            raise _refusal(f"{file}: {path} was just made of {self._written[path]}; give one of them another name.")
        if taken is not None and taken != path:
            raise _refusal(
                f"{file}: {taken} has the same name or id ({subscription.name}) already; move that away first."
            )
        try:
            _write(path, text, force=self._force)
        except FileExistsError as error:
            raise _refusal(f"{file}: {path} is there already; --force overwrites it.") from error
        except OSError as error:
            raise _refusal(f"{file}: {path} cannot be written: {error.strerror}.") from error
        self._written[path] = file
        self._note(subscription, path)
        return path

    def _note(self, subscription: Subscription, path: Path) -> None:
        self._names[subscription.name.lower()] = path
        self._ids[subscription.id] = path


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder. Default: that of the settings.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@config_option
@json_option
def import_(files: Sequence[Path], folder: Path | None, force: bool, config: str | None, as_json: bool) -> None:
    """Turn subscription FILES of wecutil (XML) or OpenWEC (TOML) into our own.

    Exit code 0: all are imported, 65: one could not be read, 73: one is there already. The others are imported.
    """
    target = Target(folder if folder is not None else load_settings(config).subscriptions.path, force=force)
    target.open()
    refusals: list[OperatorError] = []
    print_rows(_imported(files, target, refusals), COLUMNS, as_json=as_json, empty="Nothing was imported.")
    for refusal in refusals:
        click.echo(str(refusal), err=True)
    raise click.exceptions.Exit(min((refusal.exit_code for refusal in refusals), default=0))


def _imported(files: Sequence[Path], target: Target, refusals: list[OperatorError]) -> Iterator[dict[str, str]]:
    """A row for each file that was imported; what is to be said of the others is put on the list."""
    for file in files:
        try:
            yield _row(file, target)
        except OperatorError as refusal:
            refusals.append(refusal)


def _row(file: Path, target: Target) -> dict[str, str]:
    try:
        imported = read_foreign(file.read_bytes())
        text = import_text(imported, file.name)
    except OSError as error:
        raise OperatorError(f"{file}: the file cannot be read: {error.strerror}.", exit_code=BROKEN) from error
    except FileProblems as error:
        found = [f"{file}{f' line {line}' if line else ''}: {said}" for line, said in error.problems]
        raise OperatorError(*found, exit_code=BROKEN) from error
    written = target.put(file, imported.subscription, text)
    return {
        "file": str(file),
        "name": imported.subscription.name,
        "written": str(written),
        "notes": " ".join(imported.notes),
    }


def _refusal(sentence: str) -> OperatorError:
    return OperatorError(sentence, exit_code=CANNOT_CREATE)


def _write(path: Path, text: str, *, force: bool) -> None:
    """All of it or nothing, so that a collector that reloads never meets half a file."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if force:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a rename it never takes the place of a file
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
