"""An initiator over real HTTP and real TLS, against an acceptor that nobody here wrote.

The far ends of ``tests/contracts`` have no wire; here are several WWW-Authenticate headers, connections that
keep a session, and a certificate that a token is bound to.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

import aiohttp
import pytest
from aiohttp import web

from collector.auth.binding import endpoint_binding
from collector.auth.credentials import Credentials
from collector.auth.initiator import Initiator, NotAuthenticated, Proving
from collector.auth.initiators import Initiators
from collector.simulate.authority import issue, make_authority
from collector.wsman import sealing
from tests.conftest import absent
from tests.contracts.far_ends import CLEAR, LIMIT, ForeignFarEnd
from tests.servers.kdc import Kdc

HOST = "localhost"
ENVELOPE = "<s:Envelope/>".encode("utf-16")


@pytest.fixture
def realm(kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> Kdc:
    for package in ("gssapi", "spnego", "krb5"):
        if importlib.util.find_spec(package) is None:
            absent(f"the Python package {package} is not there: tests/servers/install builds it")
    monkeypatch.setenv("KRB5_KTNAME", str(kdc.keytab(f"HTTP/{HOST}")))  # pyspnego looks nowhere else
    return kdc


def initiators(realm: Kdc, mechanism: str) -> Initiators:
    return Initiators(Credentials(mechanism, principal=realm.full("OVER$"), keytab=str(realm.keytab("OVER$"))))


@asynccontextmanager
async def far_end(
    scheme: str, context: ssl.SSLContext | None = None, binding: bytes | None = None
) -> AsyncIterator[int]:
    """A server with one ``ForeignFarEnd`` for each connection; its port."""
    connections: WeakKeyDictionary[object, ForeignFarEnd] = WeakKeyDictionary()

    async def answer(request: web.Request) -> web.Response:
        transport = request.transport
        foreign = connections.setdefault(transport, ForeignFarEnd(scheme, binding))
        body = await request.read()
        if body and context is not None:
            return web.Response(body=2 * body if foreign.context.complete else b"")
        reply = foreign.reply(request.headers.get("Authorization"), request.headers.get("Content-Type", ""), body)
        response = web.Response(status=reply.status, body=reply.body)
        if reply.content_type:
            response.headers["Content-Type"] = reply.content_type
        for value in reply.challenges:
            response.headers.add("WWW-Authenticate", value)
        return response

    application = web.Application()
    application.router.add_post("/wsman", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def converse(initiator: Initiator, session: aiohttp.ClientSession, url: str) -> bytes:
    """What the module docstring of ``Proving`` tells its users to do, and one body."""
    proving = Proving(initiator)
    while (authorization := await asyncio.to_thread(proving.next)) is not None:
        async with session.post(url, headers={"Authorization": authorization}) as response:
            values = response.headers.getall("WWW-Authenticate", [])
            await asyncio.to_thread(proving.take, response.status, values)
    content_type, body = CLEAR, ENVELOPE
    if initiator.seal is not None:
        style = sealing.SealStyle(initiator.seal.protocol)
        content_type, body = sealing.sealed_body(initiator.seal, ENVELOPE, "UTF-16", style)
    async with session.post(url, data=body, headers={"Content-Type": content_type}) as response:
        proving.take(response.status, response.headers.getall("WWW-Authenticate", []))
        answered = await response.read()
        if initiator.seal is None:
            return answered
        return sealing.open_sealed(answered, response.headers["Content-Type"], initiator.seal, LIMIT)[0]


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
async def test_over_http_everything_is_sealed(realm: Kdc, mechanism: str) -> None:
    """The first leg has no body, the next request is sealed with what it agreed on."""
    async with far_end(mechanism.capitalize()) as port, aiohttp.ClientSession() as session:
        initiator = initiators(realm, mechanism).new(HOST, port, secure=False)

        assert await converse(initiator, session, f"http://{HOST}:{port}/wsman") == 2 * ENVELOPE


@pytest.mark.parametrize("bound", [True, False])
async def test_inside_tls_the_token_is_bound_to_the_certificate(realm: Kdc, tmp_path: Path, bound: bool) -> None:
    """The right binding convinces; a token that was made for another certificate does not."""
    now = datetime.now(UTC)  # noqa: TID251 - OpenSSL reads the real clock
    authority = make_authority("Lab CA", now)
    served = issue(authority, [HOST], server=True, now=now)
    for name, content in (("pem", served.pem()), ("key", served.key_pem()), ("ca", authority.pem())):
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pem", tmp_path / "key")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca"))

    async with far_end("Kerberos", context, _binding(served.pem())) as port:
        seen = await asyncio.to_thread(ssl.get_server_certificate, (HOST, port))
        binding = _binding(seen.encode() if bound else authority.pem())
        initiator = initiators(realm, "kerberos").new(HOST, port, secure=True, binding=binding)
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as session:
            if bound:
                assert await converse(initiator, session, f"https://{HOST}:{port}/wsman") == 2 * ENVELOPE
            else:
                with pytest.raises(NotAuthenticated):
                    await converse(initiator, session, f"https://{HOST}:{port}/wsman")
    assert initiator.seal is None


def _binding(pem: bytes) -> bytes:
    return endpoint_binding(ssl.PEM_cert_to_DER_cert(pem.decode()))
