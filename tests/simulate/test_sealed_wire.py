"""A connection that proves who is calling and seals what it says: what a Windows collector would see of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from collector.clock import SystemClock
from collector.kernel import sldc
from collector.simulate.authority import issue, make_authority
from collector.simulate.charset import Charset
from collector.simulate.wire import Answer, TurnedAway, Unproven, Unreachable, Wire
from collector.wire.proof import Proof
from tests.simulate.sealing import FarEnd, Met, ToyInitiator, ToySeal, answering, echo, opened, sealed

TEXT = "<s:Envelope>é</s:Envelope>"
PLAIN = b"\xff\xfe" + TEXT.encode("utf-16-le")


class Proving:
    """Makes a proof for each connection and remembers what it was made for."""

    def __init__(self, make: Callable[[], ToyInitiator] = ToyInitiator) -> None:
        self.certificates: list[bytes | None] = []
        self._make = make
        self._desks = asyncio.Semaphore(4)

    def __call__(self) -> Proof:
        return Proof(self._begin, self._desks)

    def _begin(self, certificate: bytes | None) -> ToyInitiator:
        self.certificates.append(certificate)
        return self._make()


def wire(far_end: FarEnd, prove: Proving | None = None, context: ssl.SSLContext | None = None) -> Wire:
    return Wire(far_end.url, Charset(), context, 5.0, prove or Proving())


async def test_an_empty_request_proves_who_is_calling_and_all_that_follows_is_sealed() -> None:
    """The order and the lengths of the capture of 2022 (protocol.md 3.3 and 3.8): 302 bytes around the ciphertext."""
    async with answering(FarEnd()) as far_end, wire(far_end) as line:
        text = "x" * 1619
        assert await line.post(text) == Answer(200, text)
        assert await line.post(text) == Answer(200, text)

    proof, *bodies = far_end.met
    assert (proof.body, proof.headers["Authorization"]) == (b"", "Kerberos leg1")
    assert proof.headers["Content-Length"] == "0"
    assert proof.headers["Content-Type"] == "application/soap+xml;charset=UTF-16"
    assert "Content-Encoding" not in proof.headers
    for met in bodies:
        assert met.peer == proof.peer
        assert "Authorization" not in met.headers
        assert met.headers["Content-Type"] == (
            'multipart/encrypted;protocol="application/HTTP-Kerberos-session-encrypted";boundary="Encrypted Boundary"'
        )
        assert met.headers["Content-Length"] == str(3240 + 302)  # captured
        assert met.headers["User-Agent"] == "Microsoft WinRM Client"
        assert b"OriginalContent: type=application/soap+xml;charset=UTF-16;Length=3240\r\n" in met.body


async def test_an_event_connection_claims_sldc_from_its_first_request_and_compresses_inside_the_seal() -> None:
    """Captured: Content-Encoding on the empty request too. Ciphertext cannot be compressed any more."""
    inside: list[bytes] = []

    def look(seal: ToySeal, met: Met) -> web.Response:
        inside.append(opened(seal, met))
        return sealed(seal, PLAIN)

    async with answering(FarEnd(replies=[look, look])) as far_end, wire(far_end) as line:
        await line.post(TEXT * 50, claims_sldc=True, compressed=True)
        await line.post(TEXT, claims_sldc=True)  # the End after a SubscriptionEnd

    assert [met.headers["Content-Encoding"] for met in far_end.met] == ["SLDC"] * 3
    assert sldc.decode(inside[0], 10_000) == b"\xff\xfe" + (TEXT * 50).encode("utf-16-le")
    assert inside[1] == PLAIN


async def test_several_legs_go_over_one_connection() -> None:
    """SPNEGO may need more than one round (protocol.md 3.4)."""
    async with answering(FarEnd(legs=3)) as far_end, wire(far_end, Proving(lambda: ToyInitiator(legs=3))) as line:
        assert (await line.post(TEXT)).status == 200

    assert [met.headers.get("Authorization") for met in far_end.met] == [f"Kerberos leg{leg}" for leg in (1, 2, 3)] + [
        None
    ]
    assert len({met.peer for met in far_end.met}) == 1


async def test_a_proof_that_is_not_taken_ends_it_before_anything_was_said() -> None:
    """Whoever is not convinced, or does not say who it is, must not learn what happened on a machine."""
    for refusal in (web.Response(status=401, headers={"WWW-Authenticate": "Kerberos"}), web.Response(status=200)):
        async with answering(FarEnd(refusal=refusal)) as far_end, wire(far_end) as line:
            with pytest.raises(TurnedAway, match=r"PC01\$"):
                await line.post(TEXT)

        assert [met.body for met in far_end.met] == [b""]


async def test_a_far_end_that_is_too_busy_to_hear_the_proof_is_asked_again_later() -> None:
    """503 is no verdict on us."""
    async with answering(FarEnd(refusal=web.Response(status=503))) as far_end, wire(far_end) as line:
        assert await line.post(TEXT) == Answer(503, "")


async def test_without_a_ticket_nothing_is_sent() -> None:
    """The trouble is on our side, and its sentence is for whoever runs us."""
    trouble = Proving(lambda: ToyInitiator(trouble="keytab has no key for PC01$"))
    async with answering(FarEnd()) as far_end, wire(far_end, trouble) as line:
        with pytest.raises(Unproven, match=r"no key for PC01\$"):
            await line.post(TEXT)

    assert not far_end.met


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_in_clear_on_a_sealed_connection_is_not_believed(status: int) -> None:
    """Anybody between the two could have written it: an Ack in clear would make a source forget."""

    def clear(seal: ToySeal, met: Met) -> web.Response:
        headers = {"Content-Type": "application/soap+xml;charset=UTF-16"}
        return web.Response(status=status, body=PLAIN, headers=headers)

    async with answering(FarEnd(replies=[clear])) as far_end, wire(far_end) as line:
        with pytest.raises(Unreachable, match="in clear"):
            await line.post(TEXT)


async def test_an_answer_that_was_altered_or_sent_before_is_not_believed() -> None:
    """What the seal is for."""

    def altered(seal: ToySeal, met: Met) -> web.Response:
        seal.sealed += 1  # one is missing, or another was put in its place
        return sealed(seal, PLAIN)

    async with answering(FarEnd(replies=[altered])) as far_end, wire(far_end) as line:
        with pytest.raises(Unreachable, match="not the one that was expected"):
            await line.post(TEXT)


async def test_an_empty_answer_needs_no_seal() -> None:
    """The 204 to an End, a 503: without a body there is nothing to believe (protocol.md 3.8)."""

    def empty(seal: ToySeal, met: Met) -> web.Response:
        return web.Response(status=204)

    async with answering(FarEnd(replies=[empty])) as far_end, wire(far_end) as line:
        assert await line.post(TEXT) == Answer(204, "")


async def test_a_401_in_mid_session_leads_to_a_new_proof_on_a_new_connection() -> None:
    """The far end has lost the session or the ticket is over; it took nothing, so the message goes once more."""

    def forgotten(seal: ToySeal, met: Met) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": "Kerberos"})

    proving = Proving()
    async with answering(FarEnd(replies=[forgotten])) as far_end, wire(far_end, proving) as line:
        assert await line.post(TEXT) == Answer(200, TEXT)

    assert [bool(met.body) for met in far_end.met] == [False, True, False, True]
    first, second = (far_end.met[0].peer, far_end.met[2].peer)
    assert [met.peer for met in far_end.met] == [first, first, second, second]
    assert first != second
    assert len(proving.certificates) == 2


async def test_a_far_end_that_always_answers_401_is_not_asked_for_ever() -> None:
    """Two proofs for one message, then the pause that every failure brings."""

    def forgotten(seal: ToySeal, met: Met) -> web.Response:
        return web.Response(status=401)

    async with answering(FarEnd(replies=[forgotten] * 9)) as far_end, wire(far_end) as line:
        with pytest.raises(Unreachable, match="401"):
            await line.post(TEXT)

    assert len(far_end.met) == 4


async def test_what_was_sealed_for_one_connection_never_leaves_on_another() -> None:
    """A collector may close a connection after any answer; the next message proves again and is not thrown away."""

    def last(seal: ToySeal, met: Met) -> web.Response:
        reply = echo(seal, met)
        reply.force_close()
        return reply

    async with answering(FarEnd(replies=[last])) as far_end, wire(far_end) as line:
        assert await line.post(TEXT) == Answer(200, TEXT)
        assert await line.post(TEXT) == Answer(200, TEXT)

    assert [bool(met.body) for met in far_end.met] == [False, True, False, True]


async def test_a_power_cut_breaks_a_sealed_body_in_the_middle() -> None:
    """Proven first, then half of what is declared: the half that no collector can open."""
    async with answering(FarEnd()) as far_end, wire(far_end) as line:
        await line.cut_off(TEXT * 100)
        await asyncio.wait_for(far_end.ended.wait(), 5)

    ((declared, arrived),) = far_end.torn
    assert declared // 2 == len(arrived)
    assert arrived.startswith(b"--Encrypted Boundary\r\n")


async def test_inside_tls_the_proof_is_given_the_servers_certificate_and_bodies_go_unsealed(tmp_path: Path) -> None:
    """Channel binding ties the proof to what the server served; TLS seals already (protocol.md 3.1)."""
    now = SystemClock().now()
    authority = make_authority("Lab CA", now - timedelta(days=1))
    server = issue(authority, ["localhost"], server=True, now=now)
    (tmp_path / "server.pem").write_bytes(server.pem() + server.key_pem())
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "server.pem")
    proving = Proving(lambda: ToyInitiator(clear=True))

    def clear(seal: ToySeal, met: Met) -> web.Response:
        return web.Response(body=met.body, headers={"Content-Type": met.headers["Content-Type"]})

    async with answering(FarEnd(replies=[clear]), serving) as far_end:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        async with wire(far_end, proving, context) as line:
            assert await line.post(TEXT) == Answer(200, TEXT)

    assert proving.certificates == [ssl.PEM_cert_to_DER_cert(server.pem().decode())]
    assert far_end.met[1].body == PLAIN
