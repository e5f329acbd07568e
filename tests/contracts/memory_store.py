"""A store of state that forgets at the end of the test; it passes the same contract as the real one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collector.errors import Backpressure
from collector.model import Bookmark
from collector.store.base import Amount, LaneState, Letter, Presence


class MemoryStore:
    """*failing*: what cannot be saved raises ``Backpressure``, as on a full disk."""

    def __init__(self) -> None:
        self.failing = False
        self._bookmarks: dict[tuple[str, str], Bookmark] = {}
        self._presences: dict[tuple[str, str], Presence] = {}
        self._lanes: dict[str, LaneState] = {}
        self._letters: dict[str, Letter] = {}

    def bookmark(self, source: str, subscription: str) -> Bookmark | None:
        return self._bookmarks.get((source, subscription))

    async def save_bookmark(self, source: str, subscription: str, bookmark: Bookmark) -> None:
        self._check()
        self._bookmarks[source, subscription] = bookmark

    def bookmarks(self) -> Iterable[tuple[str, str, Bookmark]]:
        return [(*key, bookmark) for key, bookmark in sorted(self._bookmarks.items(), key=lambda item: item[0])]

    def presences(self) -> Iterable[Presence]:
        return sorted(self._presences.values(), key=lambda entry: (entry.source, entry.key, entry.subscription))

    async def save_presences(self, presences: Sequence[Presence]) -> None:
        self._check()
        self._presences.update({(entry.key, entry.subscription): entry for entry in presences})

    def lanes(self) -> Iterable[LaneState]:
        return sorted(self._lanes.values(), key=lambda lane: lane.sink)

    async def save_lanes(self, lanes: Sequence[LaneState]) -> None:
        self._check()
        self._lanes = {lane.sink: lane for lane in lanes}

    async def save_letters(self, letters: Sequence[Letter]) -> None:
        self._check()
        for letter in letters:
            first = self._letters.get(letter.id, letter)
            self._letters[letter.id] = replace(letter, received=first.received, wanted=False, trouble="")

    async def quarantine(self, letters: Sequence[Letter], most: Amount) -> Amount | None:
        source = letters[0].quarantined if letters else ""
        waiting = Amount().grown([letter for letter in self._letters.values() if letter.quarantined == source])
        new = {letter.id: letter for letter in letters if letter.id not in self._letters}
        if new and not waiting.grown(list(new.values())).within(most):
            return waiting
        await self.save_letters(letters)
        return None

    def letters(self) -> Iterable[Letter]:
        return list(self._letters.values())

    async def want_letters(self, ids: Sequence[str]) -> None:
        self._check()
        for identifier in ids:
            if identifier in self._letters:
                self._letters[identifier] = replace(self._letters[identifier], wanted=True, trouble="")

    def wanted_letters(self, most: int, most_bytes: int) -> Sequence[Letter]:
        found: list[Letter] = []
        for letter in self._letters.values():
            weight = sum(len(earlier.record) for earlier in found) + len(letter.record)
            if letter.wanted and len(found) < most and (not found or weight <= most_bytes):
                found.append(letter)
            elif letter.wanted:
                break
        return found

    async def remove_letters(self, ids: Sequence[str]) -> None:
        self._check()
        for identifier in ids:
            self._letters.pop(identifier, None)

    async def postpone_letters(self, sink: str, trouble: str) -> None:
        self._check()
        for letter in list(self._letters.values()):
            if letter.sink == sink and letter.wanted:
                self._letters[letter.id] = replace(letter, wanted=False, trouble=trouble)

    async def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self.failing:
            raise Backpressure("state", "the test's store is failing")
