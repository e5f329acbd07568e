"""Our own tickets: when the KDC is asked, when it is left alone, and what an administrator reads when there is none."""

from __future__ import annotations

import importlib.util
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collector.auth.credentials import Credentials, Target
from collector.auth.initiator import NotAuthenticated
from collector.clock import ManualClock
from tests.conftest import absent
from tests.servers.kdc import Kdc
from tests.servers.server import free_port

if TYPE_CHECKING:
    from collector.auth.tickets import Tickets

PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def realm(kdc: Kdc) -> Kdc:
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    kdc.keytab("TICKETS$")
    for name, more in (("tickets", ""), ("brief", "-maxlife 200sec")):
        kdc.administer(f'addprinc -pw "{PASSWORD}" {more} {kdc.full(name)}')
    return kdc


def tickets(clock: ManualClock | None = None, mechanism: str = "kerberos", **source: str) -> Tickets:
    from collector.auth.tickets import Tickets

    return Tickets(Credentials(mechanism, **source), clock or ManualClock())  # type: ignore[arg-type]


def refused(made: Tickets) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        made.current()
    return str(caught.value)


def asked(realm: Kdc, principal: str) -> int:
    """How often the KDC was asked something for *principal*, with what it demands first."""
    return (realm.folder / "kdc.log").read_text().count(f" {realm.full(principal)} for ")


def elsewhere(realm: Kdc, folder: Path, old: str, new: str) -> str:
    """A krb5.conf that differs in one place."""
    path = folder / "other.conf"
    path.write_text(realm.krb5_conf.read_text().replace(old, new))
    return str(path)


def ended(cache: Path) -> None:
    """Set the end of every ticket in *cache* to yesterday, as the file format has it: four times in a row."""
    content = bytearray(cache.read_bytes())
    for at in range(len(content) - 16):
        _, start, end, _ = struct.unpack_from(">4I", content, at)
        if end - start == 86400:
            struct.pack_into(">I", content, at + 8, start - 86400)
    cache.write_bytes(content)


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
def test_one_question_is_enough_while_a_ticket_lasts(realm: Kdc, mechanism: str) -> None:
    """Sixty connections an hour with one ticket a day."""
    made = tickets(mechanism=mechanism, principal=realm.full("TICKETS$"), keytab=str(realm.keytab("TICKETS$")))
    before = asked(realm, "TICKETS$")

    assert made.current() is made.current()
    assert asked(realm, "TICKETS$") - before == 1
    assert made.current().principal == realm.full("TICKETS$")


def test_a_ticket_that_nears_its_end_is_had_anew_for_the_next_connection(realm: Kdc) -> None:
    """A connection that begins with it would soon be without."""
    made = tickets(username=realm.full("brief"), password=PASSWORD)
    first = made.current()

    assert 0 < first.remaining <= 200
    assert made.current() is not first


def test_an_old_ticket_is_better_than_none(realm: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While the KDC is away for a minute, who has a ticket goes on."""
    made = tickets(username=realm.full("brief"), password=PASSWORD)
    first = made.current()
    monkeypatch.setenv("KRB5_CONFIG", elsewhere(realm, tmp_path, f":{realm.port}", f":{free_port()}"))

    assert made.current() is first


def test_nothing_of_the_environment_changes(realm: Kdc) -> None:
    """Another principal of this very process must not find our tickets by accident."""
    before = dict(os.environ)

    for account in ("tickets", "brief"):
        made = tickets(username=realm.full(account), password=PASSWORD)
        assert made.current().principal == realm.full(account)

    assert dict(os.environ) == before


def test_a_wrong_password_is_not_tried_until_the_account_is_locked(realm: Kdc) -> None:
    """Three hundred sources share these credentials; a directory locks the account after ten tries."""
    clock = ManualClock()
    made = tickets(clock, username=realm.full("tickets"), password="open barley")
    said, before = refused(made), asked(realm, "tickets")

    assert "the password is not the account's" in said
    assert "barley" not in said
    clock.advance(899)
    assert refused(made) == said
    assert asked(realm, "tickets") == before
    clock.advance(1)
    refused(made)
    assert asked(realm, "tickets") > before


def test_an_account_is_not_locked_by_those_who_still_have_a_ticket(realm: Kdc) -> None:
    """In its last minutes each connection would try the old password once more."""
    realm.administer(f'addprinc -pw "{PASSWORD}" -maxlife 200sec {realm.full("rotated")}')
    made = tickets(username=realm.full("rotated"), password=PASSWORD)
    first, before = made.current(), asked(realm, "rotated")
    realm.administer(f'cpw -pw "open barley" {realm.full("rotated")}')

    for _ in range(12):
        assert made.current() is first
    assert asked(realm, "rotated") - before <= 1


def test_a_new_keytab_is_tried_at_once(realm: Kdc, tmp_path: Path) -> None:
    """Whoever repaired it wants to see that it works, and not in a quarter of an hour."""
    realm.add("REPAIRED$")
    stale = tmp_path / "stale.keytab"
    realm.administer(f'ktadd -k {stale} -norandkey "{realm.full("REPAIRED$")}"')
    realm.administer(f'cpw -randkey "{realm.full("REPAIRED$")}"')
    made = tickets(principal=realm.full("REPAIRED$"), keytab=str(stale))
    assert "Make the keytab again" in refused(made)

    stale.unlink()
    realm.administer(f'ktadd -k {stale} -norandkey "{realm.full("REPAIRED$")}"')

    assert made.current().principal == realm.full("REPAIRED$")


def test_a_kdc_that_is_away_keeps_one_waiting_and_not_all(
    realm: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its time-outs would add up over hundreds of connections; five seconds later it is asked again."""
    clock = ManualClock()
    made = tickets(clock, username=realm.full("tickets"), password=PASSWORD)
    with monkeypatch.context() as away:
        away.setenv("KRB5_CONFIG", elsewhere(realm, tmp_path, f":{realm.port}", f":{free_port()}"))
        said = refused(made)

    assert "Cannot contact any KDC" in said
    assert "port 88" in said
    assert refused(made) == said
    clock.advance(5)
    assert made.current().principal == realm.full("tickets")


def test_a_keytab_without_the_key_says_what_it_holds(realm: Kdc) -> None:
    """The library says "no credentials cache found", which sends people to kinit."""
    keytab = realm.keytab("TICKETS$")
    said = refused(tickets(principal="OTHER$@WEF.TEST", keytab=str(keytab)))

    assert f"keytab {keytab} has no key of OTHER$@WEF.TEST; it holds TICKETS$@WEF.TEST" in said


def test_a_keytab_that_is_not_there_is_named(realm: Kdc) -> None:
    """The commonest mistake of all."""
    said = refused(tickets(principal="TICKETS$", keytab="/nowhere/client.keytab"))

    assert "keytab /nowhere/client.keytab cannot be read: No such file or directory" in said


def test_a_cache_that_is_not_there_is_named(realm: Kdc) -> None:
    """And so is the way out."""
    said = refused(tickets(ccache="FILE:/nowhere/cc"))

    assert "FILE:/nowhere/cc holds no ticket; kinit writes one" in said


def test_a_ticket_that_has_ended_is_told_apart_from_none(realm: Kdc, tmp_path: Path) -> None:
    """kinit was forgotten, not broken. As soon as it was done the new ticket counts."""
    fresh = realm.ticket("TICKETS$").read_bytes()
    cache = tmp_path / "cc"
    cache.write_bytes(fresh)
    ended(cache)
    made = tickets(ccache=f"FILE:{cache}")

    assert "kinit again" in refused(made)
    cache.write_bytes(fresh)
    assert made.current().principal == realm.full("TICKETS$")


def test_a_cache_that_somebody_filled_anew_counts_at_once(realm: Kdc, tmp_path: Path) -> None:
    """It is theirs: after a kinit as somebody else the old principal must not go on calling."""
    cache = tmp_path / "cc"
    cache.write_bytes(realm.ticket("TICKETS$").read_bytes())
    made = tickets(ccache=f"FILE:{cache}")
    assert made.current().principal == realm.full("TICKETS$")

    cache.write_bytes(realm.ticket("SUCCESSOR$").read_bytes())

    assert made.current().principal == realm.full("SUCCESSOR$")


@pytest.mark.parametrize(
    ("account", "remedy"),
    [
        ("nobody-here@WEF.TEST", "the realm has no such account"),
        ("tickets@wef.example", "krb5.conf does not say where this realm's KDC is"),
    ],
)
def test_an_account_that_is_not_there_is_told_apart_from_a_realm_that_is_not(
    realm: Kdc, account: str, remedy: str
) -> None:
    """One is a typing error, the other a line that is missing in krb5.conf."""
    said = refused(tickets(username=account, password=PASSWORD))

    assert said.startswith(f"{account} got no ticket: ")
    assert remedy in said


def test_without_a_default_realm_the_account_needs_one(
    realm: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container has no krb5.conf of a domain member."""
    monkeypatch.setenv("KRB5_CONFIG", elsewhere(realm, tmp_path, " default_realm = WEF.TEST\n", ""))

    assert "write the principal with its realm" in refused(tickets(username="tickets", password=PASSWORD))


def test_a_locked_account_is_told(realm: Kdc) -> None:
    """What the directory says about it, no more and no less."""
    realm.administer(f'addprinc -pw "{PASSWORD}" -allow_tix {realm.full("locked")}')

    assert "disabled, expired or locked" in refused(tickets(username=realm.full("locked"), password=PASSWORD))


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
@pytest.mark.parametrize("host", ["stranger.wef.test", "192.0.2.9"])
def test_a_service_that_the_realm_does_not_know_is_named(realm: Kdc, mechanism: str, host: str) -> None:
    """An address or an alias in the list of sources ends here."""
    from collector.auth.kerberos_initiator import KerberosInitiator

    credentials = Credentials(mechanism, username=realm.full("tickets"), password=PASSWORD)
    from collector.auth.tickets import Tickets

    initiator = KerberosInitiator(credentials, Target(host, 5985, secure=False), Tickets(credentials, ManualClock()))

    with pytest.raises(NotAuthenticated) as caught:
        initiator.first()

    assert f"tickets@WEF.TEST to HTTP/{host} at http://{host}:5985" in str(caught.value)
    assert "setspn -L" in str(caught.value)
