"""Security descriptors as text: the order of entries, aliases, what does not count, and what is wrong where."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.subscriptions.sddl import SddlError, parse_sddl
from collector.subscriptions.trustees import ALIASES, RELATIVE

DOMAIN = "S-1-5-21-1-2-3"
COMPUTER = frozenset({f"{DOMAIN}-1104", f"{DOMAIN}-515", "S-1-18-1"})
CONTROLLER = frozenset({f"{DOMAIN}-1000", f"{DOMAIN}-516", "S-1-5-9"})
USER = frozenset({f"{DOMAIN}-1200", f"{DOMAIN}-513"})


def allowed(text: str) -> tuple[bool, bool, bool]:
    """Whether a domain computer, a domain controller and a user are let in."""
    descriptor = parse_sddl(text)
    return descriptor.allows(COMPUTER), descriptor.allows(CONTROLLER), descriptor.allows(USER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)", (True, False, False)),  # wecutil's default
        ("O:NSG:BAD:P(A;;GA;;;DC)S:", (True, False, False)),  # Event Viewer's
        ("O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)(A;;GA;;;DD)", (True, True, False)),  # Palantir's
        ("O:NSG:BAD:P(A;;GA;;;S-1-5-21-1-2-3-1104)S:", (True, False, False)),
        ("D:(A;;GA;;;AU)", (True, True, True)),
        ("D:(A;;GA;;;WD)", (True, True, True)),
        ("D:(A;;GA;;;NU)", (True, True, True)),
        ("D:(A;;GA;;;BA)(A;;GA;;;SY)(A;;GA;;;IU)", (False, False, False)),
        ("D:(A;;GA;;;du)", (False, False, True)),
        ("D:(A;;GA;;;ED)", (False, True, False)),
    ],
)
def test_the_descriptors_that_people_have(text: str, expected: tuple[bool, bool, bool]) -> None:
    """Read otherwise than by Windows, they show queries to the wrong machines or lose the right ones."""
    assert allowed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"D:(D;;GA;;;{DOMAIN}-1104)(A;;GA;;;DC)", False),
        (f"D:(A;;GA;;;DC)(D;;GA;;;{DOMAIN}-1104)", True),
        ("D:(D;;GA;;;WD)(A;;GA;;;DC)", False),
        (f"D:(D;;GA;;;{DOMAIN}-9999)(A;;GA;;;DC)", True),
    ],
)
def test_the_first_entry_about_a_caller_decides(text: str, expected: bool) -> None:
    """[MS-DTYP] 2.5.3.2: a denial counts where it stands, not because it is one."""
    assert parse_sddl(text).allows(COMPUTER) is expected


def test_an_empty_list_is_nobody_and_no_list_is_everybody() -> None:
    """[MS-DTYP] 2.4.5: the difference of one letter, so both are said at start."""
    assert allowed("O:NSG:NSD:") == allowed("D:P") == (False, False, False)
    assert parse_sddl("D:P").notes == ("no entry of it lets anybody have the subscription",)
    assert parse_sddl("O:NSG:NSD:(A;;GA;;;NS)").notes == ("no entry of it lets anybody have the subscription",)

    assert allowed("O:NSG:NS") == allowed("D:NO_ACCESS_CONTROL") == (True, True, True)
    assert parse_sddl("O:NS").notes == ("it has no list (D:), so every domain member may have the subscription",)


@pytest.mark.parametrize(
    "entry",
    [
        "(A;IO;GA;;;DC)",
        "(A;CIOIIO;GA;;;DC)",
        "(A;;GW;;;DC)",
        "(A;;RC;;;DC)",
        "(A;;0x2;;;DC)",
        "(A;;;;;DC)",
        "(OA;;GA;bf967a86-0de6-11d0-a285-00aa003049e2;;DC)",
        '(XA;;GA;;;DC;(@User.Site == "a)b"))',
    ],
)
def test_a_grant_that_is_not_wholly_understood_grants_nothing(entry: str) -> None:
    """A guess would open what somebody has closed; the warning at start says which entry it is."""
    descriptor = parse_sddl(f"D:{entry}")

    assert not descriptor.allows(COMPUTER)
    assert descriptor.notes[0].startswith(f"{entry[:60]}")
    assert "does not count" in descriptor.notes[0]


@pytest.mark.parametrize(
    "entry", ["(D;;GW;;;DC)", "(OD;;GA;bf967a86-0de6-11d0-a285-00aa003049e2;;DC)", '(XD;;GA;;;DC;(Exists @User.a))']
)  # fmt: skip
def test_a_denial_counts_in_any_case(entry: str) -> None:
    """[MS-DTYP] 2.5.3.1.5: a condition that cannot be known denies."""
    assert not parse_sddl(f"D:{entry}(A;;GA;;;DC)").allows(COMPUTER)
    assert parse_sddl(f"D:{entry}(A;;GA;;;DD)").allows(CONTROLLER)


@pytest.mark.parametrize(
    "rights", ["GA", "ga", "GR", "GXGWGR", "GRGW", "FA", "FR", "KA", "CC", "0x1f01ff", "0X80000000", "268435456", "017"]
)
def test_every_spelling_of_a_right_to_read_lets_in(rights: str) -> None:
    """Letters, hexadecimal, decimal, octal ([MS-DTYP] 2.5.1.1)."""
    assert parse_sddl(f"D:(A;;{rights};;;DC)").allows(COMPUTER)


def test_audit_rules_neither_grant_nor_deny() -> None:
    """WinRM's own RootSDDL has them; in the list of grants they are somebody's mistake and harmless."""
    text = "O:NSG:BAD:P(A;;GA;;;DC)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)(ML;;NW;;;HI)"

    assert allowed(text) == (True, False, False)
    assert allowed("D:(AU;SA;GA;;;WD)(A;;GA;;;DC)") == (True, False, False)
    assert parse_sddl(text).notes == ()


def test_pieces_may_stand_apart_and_in_another_order() -> None:
    """A line break of an editor is not worth a collector that does not start."""
    assert allowed(" G:BA\n O:S-1-5-21-1-2-3-500D:PAI\n  (A; CI ;GA;;;DC)\n  (A;;GA;;;DD) ") == (True, True, False)


def test_a_relative_alias_is_a_group_of_whatever_domain() -> None:
    """And of nothing that only ends alike."""
    for sid in ("S-1-5-21-7-8-9-515", "S-1-5-21-4294967295-8-9-515"):
        assert parse_sddl("D:(A;;GA;;;DC)").allows(frozenset({sid}))
    for sid in ("S-1-5-32-515", "S-1-5-21-7-8-9-1515", "S-1-5-21-7-8-9-10-515", "S-1-5-21-515", ""):
        assert not parse_sddl("D:(A;;GA;;;DC)").allows(frozenset({sid}))


@pytest.mark.parametrize("alias", sorted(ALIASES | dict.fromkeys(RELATIVE, "")))
def test_every_alias_is_known_wherever_a_name_stands(alias: str) -> None:
    """An alias that only newer systems know must not stop the whole folder."""
    parse_sddl(f"O:{alias}G:{alias}D:(A;;GA;;;{alias})")


def test_a_sid_is_the_same_in_any_spelling() -> None:
    """Lower case, and an authority in hexadecimal ([MS-DTYP] 2.4.2.1)."""
    for spelled in ("s-1-5-21-1-2-3-1104", "S-1-0x000000000005-21-1-2-3-1104", "S-1-5-21-01-2-3-1104"):
        assert parse_sddl(f"D:(A;;GA;;;{spelled})").allows(COMPUTER)


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("D:(A;;GA;;;XX)", 12, "'XX' is no SID (S-1-5-21-...) and no alias such as DC (Domain Computers)"),
        ("D:(A;;GA;;;CORP\\pc01$)", 12, "is no SID"),
        ("D:(A;;GA;;;)", 12, "'' is no SID"),
        ("D:(A;;GA;;;S-1-5-21-4294967296)", 12, "does not fit into its 32 bits"),
        ("D:(A;;GAGQ;;;DC)", 9, "'GQ' is no right; known are CC CR DC"),
        ("D:(A;ZZ;GA;;;DC)", 6, "'ZZ' is no flag"),
        ("D:(B;;GA;;;DC)", 4, "there are no entries of type 'B'; A allows and D denies"),
        ("D:(A;;GA;;DC)", 3, "(A;;GA;;DC) has 5 fields; an entry has six, as (A;;GA;;;DC)"),
        ("D:(A;;GA;;;DC", 3, "never closed"),
        ("(A;;GA;;;DC)", 1, "here one of O: G: D: S: begins"),
        ("D:Q(A;;GA;;;DC)", 3, "here one of O: G: D: S: begins"),
        ("D:D:", 3, "D: is there twice"),
        ("O:BAXD:", 3, "an alias of two letters (BA)"),
        ("O:D:", 3, "an alias of two letters (BA)"),
        ("O:NSG:S-1-XD:", 7, "here a SID"),
        ("D:" + " " * 70000, 65537, "longer than"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, at: int, said: str) -> None:
    """``wef check`` finds it before a machine is shut out."""
    with pytest.raises(SddlError) as caught:
        parse_sddl(text)

    assert (caught.value.at, said in str(caught.value)) == (at, True), str(caught.value)
    assert str(caught.value).startswith(f"at character {at}: ")


pieces = st.sampled_from(
    ["O:", "G:", "D:", "S:", "NS", "P", "(", ")", ";", ";;;", "A", "D", "GA", "DC", "S-1-5-21-1", '"', " ", "0x"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=60))
def test_whatever_the_text_is_there_is_one_kind_of_error(text: str) -> None:
    """Files come from anywhere."""
    try:
        descriptor = parse_sddl(text)
    except SddlError:
        return
    assert descriptor.allows(COMPUTER) in (True, False)
