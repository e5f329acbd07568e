"""All answers together have a bound, and those who wait for it get their turn."""

from __future__ import annotations

from collector.wire.budget import Budget, Claim


def test_what_does_not_fit_waits_in_the_order_in_which_it_came() -> None:
    """After an outage every source answers with all that it has."""
    budget, told = Budget(10), list[str]()
    first, second, third = (Claim(lambda name=name: told.append(name)) for name in ("1", "2", "3"))  # type: ignore[misc]

    assert budget.reach(first, 6)
    assert not budget.reach(second, 6)
    assert not budget.reach(third, 1)  # it would fit; but then a large one would wait for ever
    assert not budget.reach(second, 7)  # asked again meanwhile
    budget.release(first)

    assert told == ["2", "3"]
    assert budget.held == 7


def test_who_leaves_while_waiting_is_not_waited_for() -> None:
    """A connection that ended must not stop the others."""
    budget, told = Budget(10), list[str]()
    first, second, third = (Claim(lambda name=name: told.append(name)) for name in ("1", "2", "3"))  # type: ignore[misc]
    budget.reach(first, 8)
    budget.reach(second, 9)
    budget.reach(third, 2)

    budget.release(second)

    assert told == ["3"]
    budget.release(first)
    budget.release(third)
    budget.release(third)
    assert budget.held == 0


def test_one_answer_alone_always_fits() -> None:
    """A budget below the limit of one answer would otherwise never read it."""
    budget = Budget(10)
    claim = Claim(lambda: None)

    assert budget.reach(claim, 50)
    assert budget.reach(claim, 50)
    assert budget.held == 50


def test_answers_that_all_wait_for_more_do_not_wait_for_each_other() -> None:
    """Else none would end, and all of them be asked for again: one goes beyond the limit until it is read."""
    budget, told = Budget(10), list[str]()
    first, second = (Claim(lambda name=name: told.append(name)) for name in ("1", "2"))  # type: ignore[misc]
    budget.reach(first, 5)
    budget.reach(second, 5)

    assert not budget.reach(first, 6)
    assert not budget.reach(second, 6)
    assert told == ["1"]
    assert budget.reach(first, 30)
    assert told == ["1"]
    budget.release(first)

    assert told == ["1", "2"]
    assert budget.held == 6


def test_an_answer_that_is_larger_than_the_budget_does_not_wait_for_itself() -> None:
    """It comes in steps, and has the first of them."""
    budget = Budget(10)
    claim = Claim(lambda: None)

    assert budget.reach(claim, 6)
    assert budget.reach(claim, 12)
    assert budget.reach(claim, 18)
    budget.release(claim)
    assert budget.held == 0
