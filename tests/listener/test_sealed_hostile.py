"""Whoever stands between a source and us, or is one and lies: sealed bodies that were touched, proofs that are none.

Each ends in a clear answer and in the end of its connection, stores nothing, and leaves the next source served.
"""

from __future__ import annotations

import base64
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.config.settings import Limits
from collector.kernel import sldc
from tests.auth.test_tokens import NTLM_1, NTLM_3, NTLM_OID, WINDOWS, negotiation
from tests.conftest import REPOSITORY, absent
from tests.delivery.conversation import Corridor
from tests.listener.domain import PROTOCOL, Member, Session, taking
from tests.listener.speaking import UTF8, Answer, Place, Talk, corridor_in, listening
from tests.listener.test_door import events
from tests.servers.fixtures import made
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
PLAIN = events(1).encode()
LIMITS = Limits(body_size=2 * 2**16, decompressed_size=2**16)
OCTETS = b"octet-stream\r\n"
CLOSING = b"--Encrypted Boundary--\r\n"


class Scene:
    """A listener, a source that has proven itself to it, and what the collector has stored and said."""

    def __init__(self, place: Place, corridor: Corridor, kdc: Kdc) -> None:
        self.place, self.corridor, self.kdc = place, corridor, kdc

    async def source(self, name: str = "pc01$", scheme: str = "Kerberos") -> tuple[Talk, Session]:
        talk, session = await self.place.call(), Member(self.kdc, name).session(scheme)
        assert (await session.prove(talk)).status == 200
        return talk, session

    async def refused(self, talk: Talk, session: Session, body: bytes, status: int = 400, **headers: str) -> str:
        """The sentence in the log, after *body* has been refused as it should be."""
        with capture_logs() as lines:
            answer = await talk.post(body, **{"Content_Type": session.content_type, **headers})
            assert (answer.status, answer.body) == (status, b"")
            assert await talk.at_end()
        [line] = [line for line in lines if line["event"] == "refused"]
        return f"{line['reason']}: {line['text']}"

    async def serves(self, stored: int = 1) -> bool:
        """An honest source is served, and *stored* batches are all there is, its own with them."""
        talk, session = await self.source("honest$", "Negotiate")
        answer = await session.say(talk, events(7), "UTF-16")
        delivered = self.corridor.lane.measure().delivered
        return "wsman/Ack" in session.opened(answer) and delivered == stored


class Stage:
    """Makes a scene: ``async with Stage(tmp_path, kdc) as scene``."""

    def __init__(self, folder: Path, kdc: Kdc, keytab: Path | None = None) -> None:
        self._corridor, self._kdc = corridor_in(folder), kdc
        self._listening = listening(self._corridor, taking(kdc, keytab=keytab), LIMITS)

    async def __aenter__(self) -> Scene:
        return Scene(await self._listening.__aenter__(), self._corridor, self._kdc)

    async def __aexit__(self, *error: object) -> None:
        await self._listening.__aexit__(None, None, None)


def put(body: bytes, at: int, new: bytes) -> bytes:
    return body[:at] + new + body[at + len(new) :]


def flipped(at: int) -> Callable[[bytes], bytes]:
    """One bit, *at* bytes behind the length of the token's header."""

    def wound(body: bytes) -> bytes:
        row = body.index(OCTETS) + len(OCTETS) + 4 + at
        return put(body, row, bytes((body[row] ^ 0x01,)))

    return wound


def announcing(more: int) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(b"Length=%d" % len(PLAIN), b"Length=%d" % (len(PLAIN) + more))


def header_of(size: int) -> Callable[[bytes], bytes]:
    return lambda body: put(body, body.index(OCTETS) + len(OCTETS), struct.pack("<I", size))


WOUNDS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "the flags of the token altered": (flipped(2), "cannot be opened"),
    "its extra count": (flipped(5), "cannot be opened"),
    "its rotation": (flipped(7), "cannot be opened"),
    "its sequence number": (flipped(15), "cannot be opened"),
    "its checksum": (flipped(30), "cannot be opened"),
    "the first byte of the ciphertext": (flipped(60), "cannot be opened"),
    "the last byte of the ciphertext": (flipped(60 + len(PLAIN) - 1), "cannot be opened"),
    "a byte cut out": (lambda body: body[:600] + body[601:], "are there"),
    "a byte put in, and the length with it": (
        lambda body: announcing(1)(body[:600] + b"\0" + body[600:]), "cannot be opened",
    ),
    "the end cut off": (lambda body: body[:-40], "cut"),
    "all of the ciphertext cut out": (
        lambda body: announcing(-len(PLAIN))(body[: body.index(OCTETS) + len(OCTETS) + 64] + CLOSING),
        "cannot be opened",
    ),
    "a length one more": (announcing(1), "are there"),
    "a length one less": (announcing(-1), "and holds"),
    "a length nine less, as no cipher pads": (announcing(-9), "are there"),
    "a length of nine digits": (announcing(10**8), "are there"),
    "a header one longer": (header_of(61), "are there"),
    "a header of nothing": (header_of(0), "header length of 0"),
    "a header of 4 GiB": (header_of(2**32 - 1), "header length of 4294967295"),
    "a header that takes all but a byte": (header_of(60 + len(PLAIN) - 1), "are there"),
    "two messages in one body": (lambda body: body.removesuffix(CLOSING) + body, "are there"),
    "another boundary": (lambda body: body.replace(b"Encrypted Boundary", b"Other"), "boundary"),
    "no second part": (lambda body: body[: body.index(OCTETS)] + OCTETS + CLOSING, "shorter"),
    "nothing but boundaries": (lambda body: b"--Encrypted Boundary\r\n" * 1000, "header"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WOUNDS)
async def test_a_sealed_body_that_was_touched_ends_its_connection(tmp_path: Path, kdc: Kdc, kind: str) -> None:
    """From then on both ends count differently; and a body that is not whole is nobody's."""
    wound, sentence = WOUNDS[kind]
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        body = wound(session.sealed(PLAIN))

        said = await scene.refused(talk, session, body)

        assert said.startswith("seal: ")
        assert sentence in said
        assert await scene.serves()


FOREIGN = {
    "the protocol of the other scheme": PROTOCOL["Negotiate"],
    "the protocol of CredSSP": "application/HTTP-CredSSP-session-encrypted",
}
TYPES = {
    **{kind: f'multipart/encrypted;protocol="{name}";boundary="Encrypted Boundary"' for kind, name in FOREIGN.items()},
    "the kind that only CredSSP sends": 'multipart/x-multi-encrypted;protocol="x";boundary="Encrypted Boundary"',
    "a kind that is no seal": 'multipart/mixed;boundary="Encrypted Boundary"',
    "no boundary": f'multipart/encrypted;protocol="{PROTOCOL["Kerberos"]}"',
    "a type as if it were in clear": UTF8,
}


@pytest.mark.parametrize("kind", TYPES)
async def test_a_sealed_body_under_another_name_is_refused(tmp_path: Path, kdc: Kdc, kind: str) -> None:
    """What is announced and what is done must be one thing."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        said = await scene.refused(talk, session, session.sealed(PLAIN), Content_Type=TYPES[kind])

        assert said.startswith("seal: ")
        assert await scene.serves()


async def test_a_clear_body_of_a_known_source_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """Anybody on the way can write one into the connection of somebody who is known."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        assert "in clear" in await scene.refused(talk, session, PLAIN, Content_Type=UTF8)
        assert await scene.serves()


async def test_what_is_signed_and_not_sealed_is_refused(tmp_path: Path, kdc: Kdc) -> None:
    """The library opens it without complaint (dependencies.md 1, trap 4); everybody on the way has read it."""
    import gssapi

    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        token = gssapi.raw.wrap(session.context, PLAIN, False).message
        whole = session.sealed(PLAIN)  # for its framing only
        start = whole.index(OCTETS) + len(OCTETS)
        body = whole[:start] + struct.pack("<I", 28) + token + CLOSING  # 16 bytes of header and 12 of checksum

        assert "signed and not sealed" in await scene.refused(talk, session, body)
        assert await scene.serves()


async def test_a_body_is_taken_once(tmp_path: Path, kdc: Kdc) -> None:
    """Who recorded it would otherwise double events, or move a bookmark back."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        body = session.sealed(PLAIN)
        assert (await talk.post(body, Content_Type=session.content_type)).status == 200

        assert "duplicate" in await scene.refused(talk, session, body)
        assert await scene.serves(stored=2)


async def test_a_body_that_never_came_is_missed(tmp_path: Path, kdc: Kdc) -> None:
    """Who swallows a message on the way must not be able to hide it."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        session.sealed(PLAIN)

        assert "cannot be opened" in await scene.refused(talk, session, session.sealed(PLAIN))
        assert await scene.serves()


@pytest.mark.parametrize("other", ["pc01$", "pc02$"])
async def test_bodies_swapped_between_two_connections_open_neither(tmp_path: Path, kdc: Kdc, other: str) -> None:
    """Not even between two connections of one source: a key belongs to one handshake."""
    async with Stage(tmp_path, kdc) as scene:
        (one, first), (two, second) = await scene.source(), await scene.source(other)
        bodies = first.sealed(PLAIN), second.sealed(PLAIN)

        assert "cannot be opened" in await scene.refused(one, first, bodies[1])
        assert "cannot be opened" in await scene.refused(two, second, bodies[0])
        assert await scene.serves()


async def test_our_own_reply_is_no_request(tmp_path: Path, kdc: Kdc) -> None:
    """It is sealed with the same key; the direction is part of the seal (RFC 4121 4.2.2)."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        reply = await session.say(talk, events(1))

        assert "cannot be opened" in await scene.refused(talk, session, reply.body)
        assert await scene.serves(stored=2)


async def test_a_sealed_body_on_a_connection_of_nobody_is_not_read(tmp_path: Path, kdc: Kdc) -> None:
    """401, as for everything else of a stranger."""
    async with Stage(tmp_path, kdc) as scene:
        (_, session), stranger = await scene.source(), await scene.place.call()
        answer = await stranger.post(session.sealed(PLAIN), Content_Type=session.content_type)

        assert (answer.status, await stranger.at_end()) == (401, True)
        assert await scene.serves()


async def test_what_is_too_large_is_refused_at_each_layer(tmp_path: Path, kdc: Kdc) -> None:
    """On the wire before it is read, in the seal before it is opened, in SLDC before it is held."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        with capture_logs() as lines:
            answer = await talk.post(b"", Content_Type=session.content_type, Content_Length=str(17 * 2**20))
            talk.writer.write_eof()  # else what is left of the body would be waited for
            assert (answer.status, await talk.at_end()) == (413, True)
        assert "17825792 bytes" in lines[-1]["text"]

        talk, session = await scene.source()
        assert "at most 65536" in await scene.refused(talk, session, session.sealed(bytes(2**16 + 1)), 413)

        talk, session = await scene.source()
        bomb = sldc.encode(bytes(2**16 + 1))
        assert len(bomb) < 2**16
        assert "SLDC" in await scene.refused(talk, session, session.sealed(bomb), 413, Content_Encoding="SLDC")
        assert await scene.serves()


async def test_what_is_wrong_inside_the_seal_is_the_sources_own_fault(tmp_path: Path, kdc: Kdc) -> None:
    """Nobody else could have put it there: 400 for what is no text, as in clear."""
    async with Stage(tmp_path, kdc) as scene:
        talk, session = await scene.source()
        body = session.sealed(b"\xff\xab\xfd" + b"\x80" * 50 + struct.pack("<I", 100))

        assert "body: " in await scene.refused(talk, session, body, Content_Encoding="SLDC")
        assert await scene.serves()


async def shown(scene: Scene, *values: str) -> tuple[Answer, str]:
    """The answer to Authorization headers, on a connection that ends with it, and the reason in the log."""
    talk = await scene.place.call()
    lines_sent = "".join(f"Authorization: {value}\r\n" for value in values)
    with capture_logs() as lines:
        await talk.send(f"POST /wsman HTTP/1.1\r\nHost: wec\r\n{lines_sent}Content-Length: 0\r\n\r\n".encode())
        answer = await talk.answer()
        if answer.status != 200:
            assert await talk.at_end()
    return answer, " ".join(line.get("text", "") for line in lines if line["event"] == "refused")


def negotiate(token: bytes) -> str:
    return f"Negotiate {base64.b64encode(token).decode()}"


@pytest.mark.parametrize(
    "token",
    [NTLM_1, NTLM_3, negotiation((NTLM_OID,), NTLM_1), negotiation((NTLM_OID,), NTLM_3)],
    ids=["bare first", "bare anonymous", "wrapped first", "wrapped anonymous"],
)
async def test_ntlm_is_refused_with_what_an_administrator_can_do(tmp_path: Path, kdc: Kdc, token: bytes) -> None:
    """It names nobody, and libraries have crashed over it (dependencies.md 5.1)."""
    async with Stage(tmp_path, kdc) as scene:
        for value in (negotiate(token), negotiate(token).replace("Negotiate", "Kerberos")):
            answer, reason = await shown(scene, value)
            assert answer.status == 401
            assert "NTLM only" in reason
            assert base64.b64encode(token).decode()[:40] not in reason
        assert await scene.serves()


async def test_ntlm_where_kerberos_was_offered_too_gets_no_further(tmp_path: Path, kdc: Kdc) -> None:
    """Windows' list and NTLM's token: the library is asked, and knows no NTLM either."""
    async with Stage(tmp_path, kdc) as scene:
        answer, _ = await shown(scene, negotiate(negotiation(WINDOWS, NTLM_1)))
        assert answer.status == 401
        assert await scene.serves()


@pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])
async def test_a_token_cut_anywhere_proves_nothing(tmp_path: Path, kdc: Kdc, scheme: str) -> None:
    """Sampled over its whole length, closely at both ends where the framing is."""
    async with Stage(tmp_path, kdc) as scene:
        token = Member(kdc, "pc01$").session(scheme).context.step()
        sizes = {*range(1, 40, 3), *range(40, len(token), 97), *range(len(token) - 5, len(token))}
        for size in sorted(sizes):
            answer, reason = await shown(scene, f"{scheme} {base64.b64encode(token[:size]).decode()}")
            assert answer.status == 401, size
            assert reason
        assert await scene.serves()


@pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])
async def test_a_token_with_one_bit_turned_is_never_somebody_else(tmp_path: Path, kdc: Kdc, scheme: str) -> None:
    """Refused, or the same caller where the bit means nothing (a hint of the negotiation); never a crash."""
    async with Stage(tmp_path, kdc) as scene:
        for at in range(0, 720, 45):
            token = bytearray(Member(kdc, "pc01$").session(scheme).context.step())
            token[at % len(token)] ^= 0x01
            answer, _ = await shown(scene, f"{scheme} {base64.b64encode(token).decode()}")
            assert answer.status in (200, 401), at
        assert await scene.serves()
        assert {source for source, _, _ in scene.corridor.store.bookmarks()} == {"honest$@wef.test"}


@pytest.mark.parametrize("first", [True, False])
async def test_two_proofs_are_none(tmp_path: Path, kdc: Kdc, first: bool) -> None:
    """A front and a collector that read different ones would disagree on who is calling."""
    async with Stage(tmp_path, kdc) as scene:
        values = [Member(kdc, "pc01$").session().authorization(), "Negotiate YIIB"]
        answer, reason = await shown(scene, *(values if first else reversed(values)))

        assert answer.status == 401
        assert "no base64" in reason
        assert await scene.serves()


async def test_a_ticket_of_another_realm_names_the_key_that_is_missing(tmp_path: Path, kdc: Kdc) -> None:
    """Two forests, one keytab: the remedy is in the reason."""
    with made(Kdc, "ELSEWHERE.TEST") as other, pytest.MonkeyPatch.context() as patch:
        other.keytab("HTTP/localhost")
        patch.setenv("KRB5_CONFIG", str(other.start().wait().krb5_conf))
        token = Member(other, "pc01$").session(service="HTTP/localhost@ELSEWHERE.TEST").authorization()
    async with Stage(tmp_path, kdc) as scene:
        answer, reason = await shown(scene, token)

        assert answer.status == 401
        assert "no key for the ticket for HTTP/localhost@ELSEWHERE.TEST" in reason
        assert await scene.serves()


async def test_a_keytab_of_another_key_says_that_it_must_be_made_again(tmp_path: Path, kdc: Kdc) -> None:
    """Same name, same realm, same version: what a restored backup looks like."""
    with made(Kdc) as twin:
        keytab = twin.keytab("HTTP/localhost").rename(tmp_path / "twin.keytab")
    async with Stage(tmp_path, kdc, keytab) as scene:
        answer, reason = await shown(scene, Member(kdc, "pc01$").session().authorization())

        assert answer.status == 401
        assert "does not open the ticket for HTTP/localhost@WEF.TEST" in reason


TOKEN = """
import base64, sys, gssapi
store = {"client_keytab": sys.argv[1], "ccache": "MEMORY:past"}
context = gssapi.SecurityContext(
    name=gssapi.Name(sys.argv[2], gssapi.NameType.kerberos_principal),
    creds=gssapi.Credentials(usage="initiate", store=store),
    usage="initiate",
    flags=gssapi.RequirementFlag.mutual_authentication,
)
print(base64.b64encode(context.step()).decode())
"""


class PastKdc(Kdc):
    """A realm two days ago: its KDC and its machines have a clock that is behind, so its tickets have ended."""

    def __init__(self) -> None:
        super().__init__()
        clock, source = self.folder / "past.so", REPOSITORY / "tests/servers/past.c"
        subprocess.run(["gcc", "-shared", "-fPIC", "-DSHIFT=-172800", "-o", clock, source], check=True, timeout=60)
        self.past = {"LD_PRELOAD": str(clock)}

    def command(self) -> Sequence[str]:
        return ["env", *(f"{name}={value}" for name, value in self.past.items()), *super().command()]

    def token(self, principal: str, service: str) -> str:
        """What *principal* showed then."""
        done = subprocess.run(
            [sys.executable, "-c", TOKEN, str(self.keytab(principal)), self.full(service)],
            env={**os.environ, **self.environment(), **self.past},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


async def test_a_ticket_that_has_ended_proves_nothing(tmp_path: Path) -> None:
    """It was good once: the library counts five minutes of skew, and not two days."""
    if shutil.which("gcc") is None:
        absent("gcc was not found; on Debian or Ubuntu: apt install gcc libc6-dev")
    with made(PastKdc) as past, pytest.MonkeyPatch.context() as patch:
        keytab = past.keytab("HTTP/localhost")
        patch.setenv("KRB5_CONFIG", str(past.start().wait().krb5_conf))
        token = past.token("pc01$", "HTTP/localhost")
        async with listening(corridor_in(tmp_path), taking(past, keytab=keytab)) as place:
            talk = await place.call()
            with capture_logs() as lines:
                answer = await talk.post(b"", Authorization=f"Kerberos {token}")

    assert (answer.status, answer.closed) == (401, True)
    assert "its ticket for HTTP/localhost@WEF.TEST" in lines[-1]["text"]
    assert "has expired" in lines[-1]["text"]
