"""All subscriptions of a folder, or none: what ``serve`` starts with and SIGHUP swaps.

``*.toml`` files are ours, ``*.xml`` files are wecutil's. One broken file refuses the whole
folder: half a set would silently stop the other half at every source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from collector.errors import Backpressure, OperatorError, SourceError
from collector.model import Caller
from collector.query.query_list import parse_query_list, warnings
from collector.subscriptions.audience import meant_for, why_not
from collector.subscriptions.members import Members
from collector.subscriptions.problems import FileProblems
from collector.subscriptions.revision import revision_of_file, revision_of_folder
from collector.subscriptions.sddl import parse_sddl
from collector.subscriptions.subscription import Subscription
from collector.subscriptions.toml_file import decoded, read_toml
from collector.subscriptions.wecutil_file import meant_at_windows, read_wecutil

REFUSED = 500
"""contract.md 5: w:DeliveryRefused."""


class NotEntitled(SourceError):
    """The subscription is unknown, disabled, or not meant for this source ([MS-WSMV] 3.1.4.1.30.2)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=REFUSED)


@dataclass(frozen=True, slots=True)
class SubscriptionSet:
    """Subscriptions that were loaded together. *warnings* are sentences; nothing is refused for them.

    *members* know the sources of those that call them.
    """

    all: tuple[Subscription, ...] = ()
    warnings: tuple[str, ...] = ()
    members: Members = field(default_factory=Members, repr=False, compare=False)
    _by_id: dict[str, Subscription] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {subscription.id: subscription for subscription in self.all})

    def by_id(self, identifier: str) -> Subscription | None:
        """The subscription with this id; case and a ``uuid:`` in front count for nothing."""
        return self._by_id.get(identifier.strip().lower().removeprefix("uuid:"))

    def offered_to(self, caller: Caller) -> list[Subscription]:
        """What *caller* is shown when it enumerates, in the order of the files."""
        return [subscription for subscription in self._open() if meant_for(subscription, caller)]

    def why_nothing(self, caller: Caller) -> list[str]:
        """Why nothing is offered to *caller*: a sentence for each subscription that others may have."""
        return [f"{subscription.name}: {why_not(subscription, caller)}" for subscription in self._open()]

    def _open(self) -> Iterator[Subscription]:
        """Those that sources may ask for."""
        return (entry for entry in self.all if entry.enabled and entry.type == "source-initiated")

    def require_entitled(self, identifier: str, caller: Caller) -> Subscription:
        """The subscription that *caller* may deliver to. Raises ``NotEntitled``.

        ``Backpressure`` where it may be one of the sources and their list was not read yet: a refusal would end its
        subscription.
        """
        subscription = self.by_id(identifier)
        if subscription is None:
            raise NotEntitled(f"there is no subscription {identifier[:64]!r}")
        if not subscription.enabled:
            raise NotEntitled(f"subscription {subscription.name} is disabled")
        if subscription.type == "pull":
            raise NotEntitled(f"subscription {subscription.name} is of type pull; nobody pushes to it")
        if reason := why_not(subscription, caller):
            raise NotEntitled(f"subscription {subscription.name} is not meant for {caller.name}: {reason}")
        if subscription.type == "push":
            self._require_member(subscription, caller)
        return subscription

    def _require_member(self, subscription: Subscription, caller: Caller) -> None:
        match self.members.include(subscription, caller):
            case None:
                raise Backpressure("starting", f"the sources of subscription {subscription.name} were not listed yet")
            case False:
                who = f"{caller.principal or caller.name} from {caller.address}"
                raise NotEntitled(f"subscription {subscription.name} is not meant for {who}: it is none of its sources")


def load_folder(path: Path, revision: str | None = None, members: Members | None = None) -> SubscriptionSet:
    """Every subscription in *path*, in the order of the file names.

    *revision* replaces git's commit and the files' hashes; *members* outlive what is loaded.
    Raises ``OperatorError`` (78) with one sentence for each problem of each file; reading git takes up to a few
    seconds, so an event loop calls this in a thread.
    """
    files = _files(path)
    stated = revision or (revision_of_folder(path) if files else None)
    loaded: list[Subscription] = []
    problems: list[str] = []
    for file in files:
        try:
            loaded.append(read_file(file, stated))
        except FileProblems as error:
            problems.extend(f"{file}{f' line {line}' if line else ''}: {said}" for line, said in error.problems)
    problems.extend(_duplicates(loaded))
    if problems:
        raise OperatorError(*problems)
    return SubscriptionSet(tuple(loaded), tuple(_warnings(path, loaded)), members or Members())


def read_file(path: Path, revision: str | None = None) -> Subscription:
    """The subscription of one file. Raises ``FileProblems``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileProblems([(None, f"the file cannot be read: {error.strerror}.")]) from error
    subscription = read_wecutil(content) if path.suffix.lower() == ".xml" else read_toml(decoded(content))
    return replace(subscription, revision=revision or revision_of_file(content), origin=str(path))


def _files(path: Path) -> list[Path]:
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except NotADirectoryError as error:
        raise OperatorError(
            f"subscriptions {path} is no folder; it should hold *.toml and wecutil *.xml files."
        ) from error
    except FileNotFoundError as error:
        raise OperatorError(
            f"subscriptions folder {path} is not there; make it and put *.toml or wecutil *.xml files into it."
        ) from error
    except OSError as error:
        raise OperatorError(f"subscriptions folder {path} cannot be read: {error.strerror}.") from error
    return [
        entry
        for entry in entries
        if entry.suffix.lower() in (".toml", ".xml") and not entry.name.startswith(".") and not entry.is_dir()
    ]


def _duplicates(loaded: Sequence[Subscription]) -> list[str]:
    """Two files may not speak of one subscription; names are compared as Windows does, without case."""
    problems: list[str] = []
    names: dict[str, Subscription] = {}
    ids: dict[str, Subscription] = {}
    for subscription in loaded:
        first = names.setdefault(subscription.name.lower(), subscription)
        same = ids.setdefault(subscription.id, subscription)
        if first is not subscription:
            problems.append(
                f'{subscription.origin}: the name "{subscription.name}" is taken by {first.origin}; names are unique.'
            )
        elif same is not subscription:
            problems.append(
                f"{subscription.origin}: the id {subscription.id} is taken by {same.origin}; ids are unique."
            )
    return problems


def _warnings(path: Path, loaded: Sequence[Subscription]) -> list[str]:
    found = [
        f"{subscription.origin}: {sentence}"
        for subscription in loaded
        for sentence in warnings(parse_query_list(subscription.query))
    ]
    if not any(subscription.enabled for subscription in loaded):
        found.append(f"{path} holds no enabled subscription: sources are told that nothing is wanted from them.")
    found.extend(
        f"{subscription.origin}: its sddl: {note}."
        for subscription in loaded
        if subscription.enabled and subscription.sddl
        for note in parse_sddl(subscription.sddl).notes
    )
    found.extend(
        f"{subscription.origin}: it has no AllowedSourceDomainComputers, so every domain member may have it; Windows"
        f" lets {meant} have it then. D:(A;;GA;;;DC) in that element means Domain Computers, D: none."
        for subscription in loaded
        if subscription.enabled and subscription.origin.lower().endswith(".xml")
        if (meant := meant_at_windows(subscription))
    )
    return found
