"""Groups from a ticket. A SID too many shows a query to strangers; an exception of another kind ends a connection."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.auth.pac import LONGEST, PacError, account_and_groups, account_name
from tests.auth.pacs import FOREIGN, MACHINE, RESOURCES

DOMAIN = "S-1-5-21-1573357749-1864998399-651352400"


def test_a_machine_has_its_account_and_its_groups() -> None:
    """515 is Domain Computers, 1107 and 1108 the groups that were made for it, S-1-18-1 how it was authenticated."""
    assert account_and_groups(MACHINE) == (
        f"{DOMAIN}-1105",
        frozenset({f"{DOMAIN}-515", f"{DOMAIN}-1107", f"{DOMAIN}-1108", "S-1-18-1"}),
    )


def test_the_accounts_own_name_stands_in_it_too() -> None:
    """The name in a ticket is the one that was asked for; this one nobody can choose."""
    assert [account_name(value) for value in (MACHINE, RESOURCES, FOREIGN)] == ["SRV02$", "SRV01$", "SRV01$"]


def test_extra_and_resource_groups_count() -> None:
    """Universal groups of other domains, SID history and the domain-local groups of a Windows domain come so."""
    assert account_and_groups(RESOURCES) == (
        "S-1-5-21-1-2-3-1104",
        frozenset(
            {"S-1-5-21-1-2-3-515", "S-1-5-21-1-2-3-1107", "S-1-18-1", "S-1-5-21-9-8-7-1200", "S-1-5-21-4-5-6-2101"}
        ),
    )


def test_an_account_of_elsewhere_is_the_first_extra_sid() -> None:
    """[MS-PAC] 2.5, UserId: else it would be account 0 of a domain that is not its own."""
    assert account_and_groups(FOREIGN) == ("S-1-5-21-9-8-7-1104", frozenset({"S-1-5-21-1-2-3-515", "S-1-18-1"}))


@pytest.mark.parametrize("value", [MACHINE, RESOURCES, FOREIGN], ids=["machine", "resources", "foreign"])
def test_a_value_that_ends_early_is_refused(value: bytes) -> None:
    """Half of the groups could be the half without the one that is denied."""
    whole = account_and_groups(value)
    for end in range(len(value)):
        if any(value[end:]):  # zeros at the very end are alignment, or the last SID's
            with pytest.raises(PacError):
                account_and_groups(value[:end])
    assert account_and_groups(value + bytes(8)) == whole


@pytest.mark.parametrize(
    ("place", "number", "reason"),
    [
        (0x00, 0, "does not begin"),
        (0x48, 0, None),  # no account name: what follows it is read as something else
        (0x80, 3, "says 3 groups and then 2"),
        (0xAC, 0, None),
        (0xD8, 0xFFFFFFFF, "says 4294967295 groups and then 2"),
        (0xEC + 4, 1, "does not begin at its beginning"),
        (0xEC + 8, 0x7FFFFFFF, "4294967294 bytes where"),
    ],
)
def test_a_lie_about_a_length_is_refused(place: int, number: int, reason: str | None) -> None:
    """Signed or not, it is bytes from the network."""
    value = bytearray(RESOURCES)
    struct.pack_into("<I", value, place, number)

    with pytest.raises(PacError, match=reason):
        account_and_groups(bytes(value))


def test_a_value_of_a_megabyte_is_not_looked_at() -> None:
    """No ticket is that large."""
    with pytest.raises(PacError):
        account_and_groups(RESOURCES + bytes(LONGEST))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(MACHINE[:0xEC])
def test_whatever_the_bytes_are_there_is_one_kind_of_error(content: bytes) -> None:
    """With and without a beginning that is right."""
    for value in (content, MACHINE[:0x14] + content, MACHINE[:0xEC] + content):
        total(value)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([MACHINE, RESOURCES, FOREIGN]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 0xFFFFFFFF) | st.integers(0, 300)), max_size=4),
    st.integers(0, 700),
)
def test_altered_values_are_read_or_refused(value: bytes, changes: list[tuple[int, int]], end: int) -> None:
    """Four bytes changed here and there, and cut: what a key holder with a grudge could sign."""
    altered = bytearray(value)
    for place, number in changes:
        if place + 4 <= len(altered):
            struct.pack_into("<I", altered, place, number)
    total(bytes(altered))
    total(bytes(altered[:end]))


def total(value: bytes) -> None:
    """SIDs or a ``PacError``; and never more SIDs than the value has room for."""
    try:
        assert len(account_name(value)) <= len(value) / 2
        account, groups = account_and_groups(value)
    except PacError:
        return
    assert account.startswith("S-1-")
    assert len(groups) <= len(value) / 4
