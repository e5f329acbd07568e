"""Which machine goes down, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.simulate.mishaps import Mishaps


@dataclass
class Machine:
    """Goes down when it is told to, and stays down until the test says otherwise."""

    able: bool = True
    told: list[str] = field(default_factory=list)

    def reboot(self) -> None:
        self.told.append("reboot")
        self.able = False

    def crash(self) -> None:
        self.told.append("crash")
        self.able = False


def test_mishaps_are_spread_over_the_run_and_none_is_left_at_its_end() -> None:
    """A third, two thirds; not all at once, and not after everything is over."""
    mishaps, machines = Mishaps(1, 1, seed=1), [Machine(), Machine(), Machine()]

    def down() -> int:
        return sum(not machine.able for machine in machines)

    counts = []
    for passed in (0.0, 0.3, 0.34, 0.6, 0.67, 1.0):
        mishaps.befall(passed, machines)
        counts.append(down())

    assert counts == [0, 0, 1, 1, 2, 2]
    assert sorted(word for machine in machines for word in machine.told) == ["crash", "reboot"]
    assert mishaps.left == []


def test_a_mishap_without_a_fit_machine_stays_due() -> None:
    """A machine that is down already cannot go down; it happens when it is back, or the run says that it did not."""
    mishaps, machine = Mishaps(2, 0, seed=1), Machine()
    mishaps.befall(1.0, [machine])
    assert (machine.told, list(mishaps.left)) == (["reboot"], ["reboot"])

    machine.able = True
    mishaps.befall(1.0, [machine])
    assert (machine.told, list(mishaps.left)) == (["reboot", "reboot"], [])


def test_the_same_seed_makes_the_same_mishaps() -> None:
    """A run that found something can be repeated."""

    def run(seed: int) -> list[list[str]]:
        mishaps, machines = Mishaps(5, 5, seed), [Machine() for _ in range(50)]
        mishaps.befall(1.0, machines)
        return [machine.told for machine in machines]

    assert run(7) == run(7)
    assert run(7) != run(8)
