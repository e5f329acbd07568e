"""What every initiator must do, with far ends that do right and far ends that do wrong.

The realm is MIT's, the foreign acceptor is pyspnego's. One service has an RC4 key only.
"""

from __future__ import annotations

import base64
import importlib.util
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.auth.base import Refused
from collector.auth.credentials import Credentials
from collector.auth.initiator import Initiator, NotAuthenticated, Proving
from collector.auth.initiators import Initiators
from collector.auth.plain_initiators import MUTUAL
from collector.clock import ManualClock
from collector.errors import OperatorError
from collector.wsman.sealing import SealError
from tests.conftest import absent
from tests.contracts.far_ends import Crooked, Fixed, ForeignFarEnd, OurFarEnd, Reply, exchange, prove
from tests.servers.kdc import Kdc

HOST = "wec.wef.test"
BINDING = b"tls-server-end-point:" + bytes(32)
ENVELOPE = "<s:Envelope/>".encode("utf-16")
MECHANISMS = ("kerberos", "negotiate")


@pytest.fixture(scope="module")
def realm(kdc: Kdc) -> Kdc:
    """The session's realm with a service and two callers: a machine with a keytab, a user with a password."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    kdc.keytab(f"HTTP/{HOST}")
    kdc.keytab("CALLER$")
    if "does not exist" in kdc.administer("getprinc caller", check=False):
        kdc.add("caller", password="open sesame")
    return kdc


def of_keytab(realm: Kdc, mechanism: str = "kerberos", **more: Any) -> Initiators:
    credentials = Credentials(mechanism, principal=realm.full("CALLER$"), keytab=str(realm.keytab("CALLER$")), **more)
    return Initiators(credentials, ManualClock())


def calling(
    initiators: Initiators, host: str = HOST, *, secure: bool = False, binding: bytes | None = None
) -> Initiator:
    return initiators.new(host, 5986 if secure else 5985, secure=secure, binding=binding)


def service(realm: Kdc, name: str = f"HTTP/{HOST}") -> Path:
    return realm.keytab(name)


SOURCES: dict[str, Callable[[Kdc], dict[str, Any]]] = {
    "keytab": lambda realm: {"principal": realm.full("CALLER$"), "keytab": str(realm.keytab("CALLER$"))},
    "ccache": lambda realm: {"ccache": f"FILE:{realm.ticket('CALLER$')}"},
    "password": lambda realm: {"username": realm.full("caller"), "password": "open sesame"},
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_ticket_from_anywhere_convinces_our_own_gate(realm: Kdc, mechanism: str, source: str) -> None:
    """Keytab, cache and password are three ways to one thing; the gate must learn the principal from each."""
    far_end = OurFarEnd(service(realm))
    initiator = calling(Initiators(Credentials(mechanism, **SOURCES[source](realm)), ManualClock()))

    shown = prove(initiator, far_end)

    assert [value.partition(" ")[0] for value in shown] == [mechanism.capitalize()]
    assert initiator.established
    assert far_end.visitor.caller is not None
    assert far_end.visitor.caller.principal == realm.full("caller" if source == "password" else "CALLER$")
    assert exchange(initiator, far_end, ENVELOPE) == 2 * ENVELOPE
    assert exchange(initiator, far_end, ENVELOPE) == 2 * ENVELOPE


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_an_acceptor_that_nobody_here_wrote_is_convinced(
    realm: Kdc, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves by one hand agree even where both are wrong."""
    if importlib.util.find_spec("spnego") is None or importlib.util.find_spec("krb5") is None:
        absent("the Python packages pyspnego and krb5 are not there: tests/servers/install builds them")
    monkeypatch.setenv("KRB5_KTNAME", str(service(realm)))
    far_end = ForeignFarEnd(mechanism.capitalize())
    initiator = calling(of_keytab(realm, mechanism))

    prove(initiator, far_end)

    assert far_end.context.client_principal == realm.full("CALLER$")
    for size in (1, 2_000, 300_000):
        assert exchange(initiator, far_end, size * b"x") == 2 * size * b"x"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_inside_tls_the_token_is_bound_to_the_certificate_and_bodies_go_in_clear(realm: Kdc, mechanism: str) -> None:
    """A token without the binding could be passed on to another server; Strict refuses such."""
    far_end = OurFarEnd(service(realm), secure=True, binding=BINDING, cbt_hardening="strict")
    initiator = calling(of_keytab(realm, mechanism), secure=True, binding=BINDING)

    prove(initiator, far_end)

    assert initiator.established
    assert initiator.seal is None


@pytest.mark.parametrize("binding", [None, b"tls-server-end-point:" + bytes(31) + b"\x01"])
def test_a_token_that_is_bound_to_nothing_or_to_another_certificate_is_refused(
    realm: Kdc, binding: bytes | None
) -> None:
    """It is what somebody in the middle would pass on."""
    far_end = OurFarEnd(service(realm), secure=True, binding=BINDING, cbt_hardening="strict")

    with pytest.raises(NotAuthenticated, match="401"):
        prove(calling(of_keytab(realm), secure=True, binding=binding), far_end)

    assert isinstance(far_end.verdict, Refused)


def without_token(reply: Reply) -> Reply:
    return replace(reply, challenges=[value.partition(" ")[0] for value in reply.challenges])


def altered(reply: Reply) -> Reply:
    scheme, _, text = reply.challenges[0].partition(" ")
    token = bytearray(base64.b64decode(text))
    token[-5] ^= 1
    return replace(reply, challenges=[f"{scheme} {base64.b64encode(token).decode()}"])


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(
    "bend",
    [
        without_token,
        altered,
        lambda reply: replace(reply, challenges=[reply.challenges[0][:40]]),
        lambda reply: replace(reply, challenges=[f"{reply.challenges[0].partition(' ')[0]} !!"]),
        lambda reply: replace(reply, challenges=()),
    ],
    ids=["no token", "altered", "cut", "no base64", "no header"],
)
def test_a_far_end_that_does_not_prove_itself_gets_no_body(
    realm: Kdc, mechanism: str, bend: Callable[[Reply], Reply]
) -> None:
    """Whoever answers in the service's place would get our requests and give us events of its own."""
    initiator = calling(of_keytab(realm, mechanism))

    with pytest.raises(NotAuthenticated, match=rf"CALLER\$@WEF.TEST to HTTP/{HOST} at http://{HOST}:5985"):
        prove(initiator, Crooked(OurFarEnd(service(realm)), bend))

    assert not initiator.established
    assert initiator.seal is None


def test_the_proof_that_was_meant_for_another_connection_does_not_count(realm: Kdc) -> None:
    """Recorded replies would otherwise prove anybody."""
    recorded = []
    initiators = of_keytab(realm)
    prove(calling(initiators), Crooked(OurFarEnd(service(realm)), lambda reply: recorded.append(reply) or reply))  # type: ignore[func-returns-value]

    with pytest.raises(NotAuthenticated, match="its proof of who it is was not accepted"):
        prove(calling(initiators), Fixed(recorded[0]))


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("pattern", [HOST, "*", "*.wef.test", "WEC.*"])
def test_a_trusted_host_need_not_prove_itself(
    realm: Kdc, mechanism: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WinRM's TrustedHosts. The bodies are sealed nevertheless, with a key that only we and the service have.

    SPNEGO needs a token also then, which chooses the mechanism and proves nobody.
    """
    monkeypatch.setenv("KRB5_KTNAME", str(service(realm)))
    far_end = ForeignFarEnd(mechanism.capitalize())
    initiator = calling(of_keytab(realm, mechanism, trusted_hosts=(pattern,)))

    prove(initiator, Crooked(far_end, without_token) if mechanism == "kerberos" else far_end)

    assert initiator.seal is not None
    assert exchange(initiator, far_end, ENVELOPE) == 2 * ENVELOPE


def test_only_the_hosts_of_the_list_are_trusted(realm: Kdc) -> None:
    """A pattern for one zone says nothing about another."""
    initiators = of_keytab(realm, trusted_hosts=("*.dmz.example", "<local>"))

    with pytest.raises(NotAuthenticated, match="trusted_hosts"):
        prove(calling(initiators), Crooked(OurFarEnd(service(realm)), without_token))


def test_a_trusted_host_that_is_not_ready_has_not_taken_the_ticket(realm: Kdc) -> None:
    """Its 503 says nothing about who we are; a body sent now would be lost."""
    with pytest.raises(NotAuthenticated, match="answered 503"):
        prove(calling(of_keytab(realm, trusted_hosts=("*",))), Fixed(Reply(503)))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401, ['Basic realm="WSMAN, Kerberos YII="']), "it does not take Kerberos .401., it takes basic; enable"),
        (Reply(401, ["negotiate, Basic realm=x"]), "it takes negotiate, basic; set mechanism = negotiate"),
        (Reply(401, ["Kerberos", "Negotiate"]), "does not accept the ticket"),
        (Reply(401), "it takes nothing"),
        (Reply(503), "answered 503 instead"),
        (Reply(302), "answered 302 instead"),
        (Reply(200), "without proving who it is"),
    ],
)
def test_a_far_end_that_wants_something_else_is_told_apart(realm: Kdc, reply: Reply, said: str) -> None:
    """Each has another remedy."""
    with pytest.raises(NotAuthenticated, match=said):
        prove(calling(of_keytab(realm)), Fixed(reply))


def test_a_session_that_is_lost_begins_again_on_a_new_connection(realm: Kdc) -> None:
    """Sealing on with the old key would end in refusals without end (protocol.md 3.2)."""
    initiator, far_end = calling(of_keytab(realm)), OurFarEnd(service(realm))
    prove(initiator, far_end)
    far_end.visitor.forget()

    with pytest.raises(NotAuthenticated, match="new connection"):
        exchange(initiator, far_end, ENVELOPE)


def test_a_clear_reply_on_a_sealed_connection_is_refused(realm: Kdc) -> None:
    """Anybody on the way could have written it."""
    initiator, far_end = calling(of_keytab(realm)), OurFarEnd(service(realm))
    prove(initiator, far_end)

    with pytest.raises(SealError):
        exchange(initiator, Crooked(far_end, lambda reply: Reply(200, (), "application/soap+xml", b"<a/>")), ENVELOPE)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_session_key_of_rc4_is_taken_only_where_it_is_allowed(
    realm: Kdc, mechanism: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """RC4 is broken; a far end that offers nothing else has to be asked for by name."""
    old = tmp_path / "krb5.conf"  # of a place where nothing newer is permitted; else MIT's two ends agree on AES
    old.write_text(realm.krb5_conf.read_text().replace("[realms]", " permitted_enctypes = arcfour-hmac\n[realms]"))
    if "does not exist" in realm.administer("getprinc HTTP/old.wef.test", check=False):
        realm.add("HTTP/old.wef.test", encryption=["arcfour-hmac"])
    keytab = service(realm, "HTTP/old.wef.test")
    monkeypatch.setenv("KRB5_CONFIG", str(old))

    def converse(allowed: bool) -> None:
        initiators = of_keytab(realm, mechanism, allow_rc4=allowed)
        initiator, far_end = calling(initiators, "old.wef.test"), OurFarEnd(keytab, allow_rc4=True)
        prove(initiator, far_end)
        assert exchange(initiator, far_end, ENVELOPE) == 2 * ENVELOPE

    converse(True)
    with pytest.raises(NotAuthenticated, match="allow_rc4"):
        converse(False)


def test_one_ticket_serves_every_connection_at_once(realm: Kdc) -> None:
    """A fleet that asked the KDC for each connection would be the outage it wants to report."""
    kdc_log = realm.folder / "kdc.log"
    initiators, before = of_keytab(realm), kdc_log.read_text().count("CALLER$@WEF.TEST for ")
    done: list[bool] = []

    def connect() -> None:
        initiator = calling(initiators)
        prove(initiator, OurFarEnd(service(realm)))
        done.append(initiator.established)

    threads = [threading.Thread(target=connect) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == [True] * 12
    assert kdc_log.read_text().count("CALLER$@WEF.TEST for ") - before == 2  # one for us, one for the service


def test_a_certificate_needs_no_token_and_no_seal() -> None:
    """TLS has shown it; the header is a hint ([DSP0226] C.3.5)."""
    initiator = Initiators(Credentials("certificate", certificate="pc.pem")).new(HOST, 5986, secure=True)

    assert prove(initiator, Fixed(Reply(200))) == []
    assert (initiator.established, initiator.seal, initiator.first()) == (True, None, MUTUAL)
    assert initiator.answer(200, []) is None
    with pytest.raises(NotAuthenticated, match=r"does not take the certificate pc.pem \(403\)"):
        initiator.answer(403, [])


def test_a_certificate_is_not_shown_over_http() -> None:
    """There is nowhere to show it; the request would go in clear and without proof."""
    with pytest.raises(NotAuthenticated, match="use https"):
        Initiators(Credentials("certificate", certificate="pc.pem")).new(HOST, 5985, secure=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_nobody_in_particular_may_call_on_loopback(host: str) -> None:
    """contract.md 1.3: for trying things out."""
    initiator = Initiators(Credentials("none")).new(host, 5985, secure=False)

    assert prove(initiator, Fixed(Reply(200))) == []
    assert (initiator.first(), initiator.seal, initiator.answer(200, [])) == (None, None, None)
    with pytest.raises(NotAuthenticated, match="mechanism is none"):
        initiator.answer(401, ["Negotiate"])


@pytest.mark.parametrize("host", [HOST, "10.0.0.1", "localhost.corp.example"])
def test_nobody_in_particular_may_call_anywhere_else(host: str) -> None:
    """Over a network, bodies in clear and without proof are nobody's wish."""
    with pytest.raises(NotAuthenticated, match="loopback"):
        Initiators(Credentials("none")).new(host, 5985, secure=False)


def test_who_has_nothing_more_to_show_says_so(realm: Kdc) -> None:
    """A driver that went on would post empty requests for ever."""
    initiator = calling(of_keytab(realm))
    proving = Proving(initiator)
    proving.next()

    with pytest.raises(NotAuthenticated, match="nothing more to show"):
        proving.next()


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no wheel, so many will not have it."""
    monkeypatch.setitem(__import__("sys").modules, "collector.auth.tickets", None)

    with pytest.raises(OperatorError, match=r"wef-collector\[kerberos\]"):
        Initiators(Credentials("kerberos"))
