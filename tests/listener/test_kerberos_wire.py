"""Kerberos and Negotiate over a real socket, against a real KDC, spoken by raw gssapi (tests/listener/domain.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.errors import Backpressure
from tests.delivery.conversation import Corridor
from tests.listener.domain import FLAG, Member, Session, taking
from tests.listener.speaking import HEARTBEAT, IDENTIFY, Place, corridor_in, enumerate_, envelope, listening
from tests.listener.test_door import Broken, events
from tests.servers.fixtures import made
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
END = envelope("http://schemas.microsoft.com/wbem/wsman/1/wsman/End")
SCHEMES = pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])


def keys(corridor: Corridor) -> list[str]:
    """Who has a bookmark."""
    return [source for source, _, _ in corridor.store.bookmarks()]


async def refused(place: Place, session: Session, token: bytes | None = None) -> str:
    """The reason in the log when *session* begins, of which the connection has to die."""
    talk = await place.call()
    with capture_logs() as lines:
        answer = await talk.post(b"", Authorization=session.authorization(token))
        assert (answer.status, answer.closed) == (401, True)
        assert await talk.at_end()
    [line] = [line for line in lines if line["event"] == "refused"]
    assert line["reason"] == "proof"
    return str(line["text"])


@SCHEMES
async def test_a_source_proves_itself_first_and_then_delivers_sealed(tmp_path: Path, kdc: Kdc, scheme: str) -> None:
    """As captured (protocol.md 3.3): an empty POST with a token, 200 with one, sealed bodies and sealed replies."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session(scheme)
        proven = await session.prove(talk)
        offer = await session.say(talk, enumerate_(), "UTF-16")
        stored = await session.say(talk, events(1, 2), "UTF-16")
        end = await session.say(talk, END, "UTF-16")

        assert (proven.status, proven.body, offer.status, stored.status) == (200, b"", 200, 200)
        assert "secprofile/http/spnego-kerberos" in session.opened(offer)
        assert "wsman/Ack" in session.opened(stored)
        assert (end.status, end.body) == (204, b"")
        assert b"Enumerate" not in offer.body
    assert keys(corridor) == ["pc01$@wef.test"]


async def test_who_shows_nothing_is_told_both_schemes_and_comes_again(tmp_path: Path, kdc: Kdc) -> None:
    """Two header lines, each with a bare word: what every other WinRM client waits for before it shows a token."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk = await place.call()
        await talk.send(b"POST /wsman HTTP/1.1\r\nHost: wec\r\nContent-Length: 0\r\n\r\n")
        head = await talk.reader.readuntil(b"\r\n\r\n")
        again, session = await place.call(), Member(kdc, "pc01$").session("Negotiate")
        assert (await session.prove(again)).status == 200
        assert (await session.say(again, enumerate_())).status == 200

    assert head.startswith(b"HTTP/1.1 401")
    assert b"WWW-Authenticate: Kerberos\r\nWWW-Authenticate: Negotiate\r\n" in head


async def test_the_scheme_is_any_case_and_only_what_the_listener_takes(tmp_path: Path, kdc: Kdc) -> None:
    """RFC 9110 11.1; and the log says what was shown instead."""
    async with listening(corridor_in(tmp_path), taking(kdc, "kerberos")) as place:
        session = Member(kdc, "pc01$").session()
        answer = await (await place.call()).post(b"", Authorization=session.authorization().replace("Ker", "kER"))
        assert answer.status == 200
        text = await refused(place, Member(kdc, "pc01$").session("Negotiate"))

    assert text == "it showed Negotiate only; this listener takes kerberos"


@pytest.mark.parametrize(("indent", "dashes"), [("", "--"), ("\t", "--"), ("\t", "-- ")])
async def test_a_reply_is_framed_like_its_request(tmp_path: Path, kdc: Kdc, indent: str, dashes: str) -> None:
    """Windows writes no TAB; pypsrp and pywinrm can read nothing without one (dependencies.md 8)."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session("Negotiate")
        await session.prove(talk)
        body = session.sealed(enumerate_().encode(), indent=indent, dashes=dashes)
        answer = await talk.post(body, Content_Type=session.content_type)

        assert answer.status == 200
        if dashes == "--":
            assert "EnumerateResponse" in session.opened(answer, indent)


async def test_faults_are_sealed_too(tmp_path: Path, kdc: Kdc) -> None:
    """A source that is told in clear what it may not do has been told by anybody."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        unknown = await session.say(talk, envelope("urn:made-up"))
        broken = await session.say(talk, "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Header>")
        good, corridor.subscriptions = corridor.subscriptions, Broken()
        ours = await session.say(talk, enumerate_())
        corridor.subscriptions = good
        foreign = await session.say(talk, envelope(HEARTBEAT, header="<e:Identifier>nobody</e:Identifier>"))

        for answer, code in (
            (unknown, "ActionNotSupported"),
            (broken, "SchemaValidationError"),
            (ours, "InternalError"),
            (foreign, "DeliveryRefused"),
        ):
            assert answer.status == 500
            assert code in session.opened(answer)


async def test_identify_is_answered_to_strangers_in_clear_and_to_callers_sealed(tmp_path: Path, kdc: Kdc) -> None:
    """Test-WSMan without and with -Authentication; profiles are for those who are known (protocol.md 10.2)."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        stranger = await (await place.call()).post(IDENTIFY, WSMANIDENTIFY="unauthenticated")
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        caller = session.opened(await session.say(talk, IDENTIFY))

    assert (stranger.status, stranger.closed) == (200, True)
    assert b"SecurityProfile" not in stranger.body
    assert "secprofile/http/spnego-kerberos" in caller


async def test_one_name_in_two_realms_is_two_sources(tmp_path: Path, kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is the whole principal: two forests have a PC01 each, and a shared bookmark would lose events."""
    corridor = corridor_in(tmp_path)
    keytab = tmp_path / "both.keytab"
    with made(Kdc, "OTHER.TEST") as other:
        other.start().wait()
        monkeypatch.setenv("KRB5_CONFIG", f"{kdc.krb5_conf}:{other.krb5_conf}")
        for realm in (kdc, other):
            keytab.write_bytes(realm.keytab("HTTP/localhost").read_bytes() + keytab.read_bytes()[2:] if keytab.exists()
                               else realm.keytab("HTTP/localhost").read_bytes())  # fmt: skip
        async with listening(corridor, taking(kdc, keytab=keytab)) as place:
            for realm in (kdc, other):
                member = Member(realm, "PC01$")
                talk, session = await place.call(), member.session(service=f"HTTP/localhost@{realm.realm}")
                await session.prove(talk)
                assert (await session.say(talk, events(1))).status == 200

    assert sorted(keys(corridor)) == ["pc01$@other.test", "pc01$@wef.test"]
    assert {entry.source for entry in corridor.presences.all()} == {"pc01"}


@SCHEMES
async def test_every_name_in_the_keytab_is_served(tmp_path: Path, kdc: Kdc, scheme: str) -> None:
    """HTTP/ today, HOST/ from Windows Server 2025 on (protocol.md 3.4), and whatever alias the policy names."""
    names = ("HTTP/wec.wef.test", "HOST/wec.wef.test", "HTTP/alias.wef.test")
    keytab = tmp_path / "names.keytab"
    for name in names:
        kdc.keytab(name)
        kdc.administer(f"ktadd -k {keytab} -norandkey {name}")
    async with listening(corridor_in(tmp_path), taking(kdc, keytab=keytab)) as place:
        for name in names:
            session = Member(kdc, "pc01$").session(scheme, f"{name}@WEF.TEST")
            assert (await session.prove(await place.call())).status == 200
        text = await refused(place, Member(kdc, "pc01$").session(scheme))

    assert "no key for the ticket for HTTP/localhost@WEF.TEST (key version" in text


async def test_a_rotated_key_needs_no_restart(tmp_path: Path, kdc: Kdc) -> None:
    """The handle reads the file again; until it holds the new key the log says so, and old tickets go on."""
    name, keytab = "HTTP/rotating.wef.test", tmp_path / "rotating.keytab"
    kdc.add(name)
    kdc.administer(f"ktadd -k {keytab} -norandkey {name}")
    old, new = Member(kdc, "pc01$"), Member(kdc, "pc02$")
    async with listening(corridor_in(tmp_path), taking(kdc, keytab=keytab)) as place:
        assert (await old.session(service=f"{name}@WEF.TEST").prove(await place.call())).status == 200
        kdc.administer(f"cpw -randkey -keepold {name}")
        text = await refused(place, new.session(service=f"{name}@WEF.TEST"))

        fresh = tmp_path / "fresh.keytab"
        kdc.administer(f"ktadd -k {fresh} -norandkey {name}")
        fresh.rename(keytab)
        for member in (old, new):
            assert (await member.session(service=f"{name}@WEF.TEST").prove(await place.call())).status == 200

    assert "no key of the version of the ticket for HTTP/rotating.wef.test@WEF.TEST (key version 2" in text


async def test_a_fresh_proof_replaces_the_caller_and_a_bad_one_ends_the_connection(tmp_path: Path, kdc: Kdc) -> None:
    """Windows authenticates again on the same socket; half a proof must leave nobody's name behind."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk = await place.call()
        first, second = Member(kdc, "pc01$").session(), Member(kdc, "pc02$").session("Negotiate")
        for record, session in enumerate((first, second), 1):
            assert (await session.prove(talk)).status == 200
            assert (await session.say(talk, events(record))).status == 200

        answer = await talk.post(b"", Authorization=second.authorization(b"\x60\x82\x01"))
        assert (answer.status, answer.closed, await talk.at_end()) == (401, True, True)
    assert keys(corridor) == ["pc01$@wef.test", "pc02$@wef.test"]


async def test_the_old_key_opens_nothing_after_a_fresh_proof(tmp_path: Path, kdc: Kdc) -> None:
    """What is sealed for one session is no message of another."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk = await place.call()
        first, second = Member(kdc, "pc01$").session(), Member(kdc, "pc02$").session()
        await first.prove(talk)
        await second.prove(talk)
        answer = await first.say(talk, events(1))

        assert (answer.status, await talk.at_end()) == (400, True)
    assert keys(corridor) == []


async def test_a_token_is_taken_once(tmp_path: Path, kdc: Kdc) -> None:
    """Who listens on the wire can say it again, and must get nothing for it (the library's replay cache)."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        session = Member(kdc, "pc01$").session()
        authorization = session.authorization()
        assert (await (await place.call()).post(b"", Authorization=authorization)).status == 200
        again = await place.call()
        with capture_logs() as lines:
            assert (await again.post(b"", Authorization=authorization)).status == 401

    assert "shown before (replay)" in lines[-1]["text"]


async def test_a_source_that_does_not_ask_us_to_prove_ourselves_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """It would deliver to anybody who stands in our place."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        text = await refused(place, Member(kdc, "pc01$").session(flags=FLAG.confidentiality | FLAG.integrity))

    assert text.startswith("pc01: the source does not ask this collector to prove itself")


def only(encryption: str, folder: Path, kdc: Kdc, patch: pytest.MonkeyPatch) -> None:
    """This process has one encryption type: else both ends would agree on AES inside any ticket (RFC 4537)."""
    file = folder / "krb5.conf"
    file.write_text(f"[libdefaults]\n permitted_enctypes = {encryption}\n")
    patch.setenv("KRB5_CONFIG", f"{file}:{kdc.krb5_conf}")


@pytest.mark.parametrize("allowed", [False, True])
async def test_rc4_sessions_only_where_they_are_allowed(
    tmp_path: Path, kdc: Kdc, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old domains have nothing else, so there is a switch; a reply carries the one byte that RC4 pads."""
    only("arcfour-hmac", tmp_path, kdc, monkeypatch)
    kdc.add(name := f"HTTP/rc4-{allowed}.wef.test", encryption=["arcfour-hmac"])
    session = Member(kdc, "rc4$").session(service=kdc.full(name))
    async with listening(corridor_in(tmp_path), taking(kdc, keytab=kdc.keytab(name), allow_rc4=allowed)) as place:
        if not allowed:
            assert "session key is RC4" in await refused(place, session)
        else:
            talk = await place.call()
            assert (await session.prove(talk)).status == 200
            for record in (1, 2):
                assert "wsman/Ack" in session.opened(await session.say(talk, events(record), "UTF-16"))


async def test_the_newest_encryption_is_taken(tmp_path: Path, kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    """AES with SHA-2 has a longer header (72 bytes), which nobody may have counted on."""
    only("aes256-cts-hmac-sha384-192", tmp_path, kdc, monkeypatch)
    kdc.add(name := "HTTP/sha2.wef.test", encryption=["aes256-cts-hmac-sha384-192"])
    session = Member(kdc, "sha2$").session(service=kdc.full(name))
    async with listening(corridor_in(tmp_path), taking(kdc, keytab=kdc.keytab(name))) as place:
        talk = await place.call()
        await session.prove(talk)
        answer = await session.say(talk, events(1), "UTF-16")
        assert b"application/octet-stream\r\n" + (72).to_bytes(4, "little") in answer.body
        assert "wsman/Ack" in session.opened(answer)


async def test_a_reload_leaves_sealed_connections_alone(tmp_path: Path, kdc: Kdc) -> None:
    """Their proof hangs on no file; ten thousand sources that all come again at SIGHUP would be a storm."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        place._listener.renew(None, place._listener._door._gate)

        assert "wsman/Ack" in session.opened(await session.say(talk, events(1)))


async def test_a_sealed_body_that_nobody_opened_ends_the_connection(tmp_path: Path, kdc: Kdc) -> None:
    """Its number is missing in the sequence; the next one would be called an attack."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        place._listener._door._budget.held = 2**40
        answer = await session.say(talk, events(1))

        assert (answer.status, answer.body, await talk.at_end()) == (503, b"", True)


async def test_what_is_refused_after_it_was_opened_keeps_its_connection(tmp_path: Path, kdc: Kdc) -> None:
    """503: the source comes again with the same batch, over the same connection."""
    corridor = corridor_in(tmp_path)
    corridor.trouble = Backpressure("state", "the disk is full")
    async with listening(corridor, taking(kdc)) as place:
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        first = await session.say(talk, events(1))
        corridor.trouble = None
        second = await session.say(talk, events(1))

        assert (first.status, first.body, second.status) == (503, b"", 200)
        assert "wsman/Ack" in session.opened(second)


async def test_a_session_key_goes_with_its_connection(tmp_path: Path, kdc: Kdc) -> None:
    """At once, not when garbage is collected: a fleet that reconnects would pile up 5 KB each."""
    async with listening(corridor_in(tmp_path), taking(kdc)) as place:
        door = place._listener._door
        talk, session = await place.call(), Member(kdc, "pc01$").session()
        await session.prove(talk)
        assert len(door._visitors) == 1
        talk.writer.write_eof()
        assert await talk.at_end()

        assert len(door._visitors) == 0
