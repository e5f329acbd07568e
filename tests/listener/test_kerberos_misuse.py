"""Good tickets in bad hands, names that look like others', and a machine of ours that cannot keep house."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from tests.listener.domain import AS_WINDOWS, FLAG, Member, Session, taking
from tests.listener.speaking import Place, corridor_in, listening
from tests.listener.test_door import events
from tests.listener.test_kerberos_tls import Site
from tests.listener.test_kerberos_wire import keys, refused
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow


def called(kdc: Kdc, folder: Path, name: str) -> Session:
    """A session of a principal whose *name* is none of a file."""
    import gssapi

    keytab = folder / "called.keytab"
    kdc.administer(f'addprinc -randkey "{name}@{kdc.realm}"')
    kdc.administer(f'ktadd -k {keytab} -norandkey "{name}@{kdc.realm}"')
    member = Member(kdc, "pc01$")
    member._credentials = gssapi.Credentials(
        usage="initiate",
        name=gssapi.Name(f"{name}@{kdc.realm}", gssapi.NameType.kerberos_principal),
        store={"client_keytab": str(keytab), "ccache": f"MEMORY:{folder.name}"},
    )
    return member.session()


@pytest.mark.parametrize("level", ["relaxed", "none"])
async def test_a_token_from_the_wire_delivers_nothing_inside_tls_of_somebody_else(
    tmp_path: Path, kdc: Kdc, level: str
) -> None:
    """Over plain http a token travels in clear, bound to nothing. Who takes it and shows it at the https listener has
    no session key, so nothing that he says in clear may be believed; "none" is the operator's own word for it.
    """
    site, corridor = Site(tmp_path), corridor_in(tmp_path)
    async with listening(corridor, site.settings(kdc, cbt_hardening=level)) as place:
        stolen = Member(kdc, "pc01$").session().authorization()
        with capture_logs() as lines:
            answer = await (await place.call(site.trust())).post(events(1), Authorization=stolen)

    assert answer.status == (400 if level == "relaxed" else 200)
    assert keys(corridor) == ([] if level == "relaxed" else ["pc01$@wef.test"])
    assert level == "none" or "cbt_hardening" in lines[-1]["text"]


async def test_inside_tls_an_unbound_token_still_delivers_sealed(tmp_path: Path, kdc: Kdc) -> None:
    """relaxed: a client that knows no bindings is served, as long as it has the key."""
    site, corridor = Site(tmp_path), corridor_in(tmp_path)
    async with listening(corridor, site.settings(kdc)) as place:
        talk, session = await place.call(site.trust()), Member(kdc, "pc01$").session()
        await session.prove(talk)
        assert "wsman/Ack" in session.opened(await session.say(talk, events(1)))


async def test_a_name_that_becomes_another_in_lower_case_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """A Kelvin sign for a K: in lower case it would be PCK01, with its bookmark, its files and its audience."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        assert "another one's in lower case" in await refused(place, called(kdc, tmp_path, "PC\u212a01$"))


def test_a_principal_that_is_no_utf_8_is_none() -> None:
    """Unreadable bytes all look alike: two such accounts would be one source."""
    import gssapi

    from collector.auth.gss import Acceptance, GssRefusal

    acceptance = Acceptance(None, None)
    name = gssapi.raw.import_name(b"pc\xff$@WEF.TEST", gssapi.NameType.kerberos_principal)
    acceptance._result = SimpleNamespace(flags=0, initiator_name=name)

    with pytest.raises(GssRefusal, match="no UTF-8"):
        acceptance.proof()


async def test_a_principal_without_end_is_no_key(tmp_path: Path, kdc: Kdc) -> None:
    """Its name for people may be short all the same."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        assert "names no machine" in await refused(place, called(kdc, tmp_path, f"{'x' * 1100}/pc01"))


async def test_a_session_that_takes_bodies_twice_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """Sequence detection is the client's to ask for; without it who listens can send what he heard once more."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        session = Member(kdc, "pc01$").session(flags=AS_WINDOWS & ~FLAG.out_of_sequence_detection)
        assert "no sequence detection" in await refused(place, session)


async def test_a_keytab_that_is_gone_is_said_to_be(tmp_path: Path, kdc: Kdc) -> None:
    """The library says "no key of that type", and whoever makes AES keys again finds no file to put them in."""
    keytab = tmp_path / "going.keytab"
    keytab.write_bytes(kdc.keytab("HTTP/localhost").read_bytes())
    async with listening(corridor_in(tmp_path), taking(kdc, keytab=keytab)) as place:
        keytab.unlink()
        assert "cannot be read any more" in await refused(place, Member(kdc, "pc01$").session())


async def test_a_replay_cache_that_cannot_be_written_is_our_trouble(
    tmp_path: Path, kdc: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every source is refused then, and no source is to blame."""
    monkeypatch.setenv("KRB5RCACHEDIR", str(tmp_path / "absent"))
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        text = await refused(place, Member(kdc, "pc01$").session("Negotiate"))

    assert text.startswith("this machine cannot note which tokens were shown")
    assert str(tmp_path / "absent") in text


async def test_nothing_holds_the_body_of_a_leg(tmp_path: Path, kdc: Kdc) -> None:
    """It is thrown away as it comes: whoever has proven nothing takes no share of what all bodies may hold."""
    from tests.listener.test_kerberos_legs import FIRST, leg

    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        _fill(place)
        assert (await leg(await place.call(), FIRST, b"x" * 60_000))[::2] == (401, False)


@pytest.mark.parametrize("body", [b"", b"<x", b"<a/>", b"\xff", b"x" * 9000])
async def test_a_stranger_whose_identify_is_none_holds_no_place(tmp_path: Path, kdc: Kdc, body: bytes) -> None:
    """One request each and then silence for ``idle_time``, three hours: 20,000 of them would be all that fit in."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk = await place.call()
        answer = await talk.post(body, path="/wsman-anon/identify")

        assert answer.status in (400, 413)
        assert (answer.closed, await talk.at_end()) == (True, True)


def _fill(place: Place) -> None:
    budget = place._listener._door._budget
    budget.held = budget.limit
