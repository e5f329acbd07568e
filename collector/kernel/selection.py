"""Which kernel works: the compiled one where it was built and nobody chose otherwise, else its pure twin.

The compiled modules are taken all or none: two that are not of one build are not mixed. They are
looked for when they are first asked for, because ``_sldc`` raises the errors that ``sldc`` defines.
This room reads no environment: whoever starts the program says what its user chose.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Protocol, cast

MODULES = ("_sldc", "_events")


class _Choice:
    """What was chosen, and what was found when it was looked for."""

    __slots__ = ("found", "missing", "pure")

    def __init__(self) -> None:
        self.pure = False
        self.found: dict[str, ModuleType] | None = None
        self.missing = ""

    def module(self, name: str) -> ModuleType | None:
        """The compiled module *name*; None while the pure twin is to do the work."""
        if self.pure:
            return None
        if self.found is None:
            self.found = self.look()
        return self.found.get(name)

    def look(self) -> dict[str, ModuleType]:
        try:
            return {name: importlib.import_module(f"collector.kernel.{name}") for name in MODULES}
        except ImportError as error:  # never built, or built for another Python or another machine
            self.missing = str(error)
            return {}


_CHOICE = _Choice()


class CompiledSldc(Protocol):
    """What ``_sldc.pyx`` answers to: the two pure functions of ``kernel.sldc`` that it replaces."""

    def expand(self, data: bytes, declared: int) -> bytes: ...

    def encode(self, data: bytes) -> bytes: ...


def choose(*, pure: bool) -> None:
    """True: the pure twins do all the work from now on. False: the compiled modules where they are there."""
    _CHOICE.pure = pure


def active() -> str:
    """The kernel that works: "compiled" or "pure"."""
    return "pure" if sldc() is None else "compiled"


def reason() -> str:
    """Why the pure kernel works: ``""`` while the compiled one does, else words for a person."""
    if active() == "compiled":
        return ""
    return "chosen" if _CHOICE.pure else f"the compiled one was not built: {_CHOICE.missing}"


def sldc() -> CompiledSldc | None:
    """The compiled twin of ``kernel.sldc``, if it is to be used."""
    return cast("CompiledSldc | None", _CHOICE.module("_sldc"))


def events() -> ModuleType | None:
    """The compiled reader and writer of events, if it is to be used."""
    return _CHOICE.module("_events")
