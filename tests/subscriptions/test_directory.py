"""What a directory that is none, or means harm, can do: a sentence, in bounded time and memory.

Real directories are asked in ``end_to_end/test_active_directory.py``.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import ldap3
import pytest

from collector.errors import CollectorError
from collector.subscriptions import directory
from collector.subscriptions.directory import Account, Proof, mistake_in, search
from collector.subscriptions.sources import DirectorySources, SourceProblem


@pytest.fixture(autouse=True)
def from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """ldap3 counts messages through the whole process; scripts begin with 1."""
    monkeypatch.setattr(ldap3.Server, "_message_counter", 0)


class Plain:
    """A handshake that is complete after one answer, and seals by turning bits around."""

    def __init__(self) -> None:
        self.complete = False

    def step(self, token: bytes | None = None) -> bytes | None:
        self.complete = token is not None
        return b"hello" if token is None else None

    def wrap(self, content: bytes, *, sealed: bool) -> bytes:
        return bytes(byte ^ 255 for byte in content) if sealed else content

    def unwrap(self, token: bytes) -> bytes:
        if token == b"tampered":
            raise CollectorError("a token had an invalid signature")
        return token if len(token) == 4 else bytes(byte ^ 255 for byte in token)


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x84]) + len(content).to_bytes(4)
    return bytes([tag]) + size + content


def message(number: int, operation: bytes, *controls: bytes) -> bytes:
    """RFC 4511 4.1.1."""
    return tlv(0x30, tlv(2, bytes([number])), operation, *(tlv(0xA0, *controls) for _ in controls[:1]))


def done(tag: int, code: int, *more: bytes) -> bytes:
    return tlv(tag, tlv(0x0A, bytes([code])), tlv(4), tlv(4), *more)


def bound(number: int, code: int = 0, token: bytes | None = None) -> bytes:
    return message(number, done(0x61, code, *([tlv(0x87, token)] if token is not None else [])))


def machine(number: int, **attributes: bytes) -> bytes:
    held = [tlv(0x30, tlv(4, name.encode()), tlv(0x31, tlv(4, value))) for name, value in attributes.items()]
    return message(number, tlv(0x64, tlv(4, b"CN=x"), tlv(0x30, *held)))


def sealed(*messages: bytes) -> bytes:
    content = bytes(byte ^ 255 for byte in b"".join(messages))
    return len(content).to_bytes(4) + content


@contextmanager
def serving(*answers: bytes) -> Iterator[str]:
    """Says one of *answers* to each thing it is told, and then nothing more; the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for answer in answers:
                    if not connection.recv(65536):
                        return
                    try:
                        connection.sendall(answer)
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ldap://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join()


def ask(
    url: str, proof: Proof = lambda host, served: Plain(), monotonic: Callable[[], float] = lambda: 0.0
) -> Sequence[str]:
    listed = DirectorySources(url, "DC=x")
    return search(listed, proof, ssl.create_default_context(), monotonic)


def refused(*answers: bytes, proof: Proof = lambda host, served: Plain()) -> str:
    with serving(*answers) as url, pytest.raises(SourceProblem) as caught:
        ask(url, proof)
    assert str(caught.value).startswith(f"{url}: ")
    return str(caught.value).removeprefix(f"{url}: ")


BOUND = (bound(1, 14, b"proof"), bound(2, 14, b"\x07\x00\xff\xff"), bound(3))


def test_what_kerberos_seals_is_read() -> None:
    """RFC 4752: no word of the search goes in clear, and disabled machines are left out."""
    found = sealed(
        machine(4, dNSHostName=b"pc01.corp.example", userAccountControl=b"4096"),
        machine(4, DNSHOSTNAME=b"pc02.corp.example", UserAccountControl=b"4098"),
        machine(4, dNSHostName=b"pc03.corp.example"),
        machine(4, cn=b"pc04"),
        message(4, tlv(0x73, tlv(4, b"ldap://elsewhere/DC=y"))),
        message(4, done(0x65, 0)),
    )

    with serving(*BOUND, found) as url:
        assert ask(url) == ["pc01.corp.example", "pc03.corp.example"]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], ""),
        ([b"\x30\x84\xff\xff\xff\xff" + b"x" * 2000], ""),
        ([b"\x30\x80" * 500], ""),
        ([bound(9)], ""),
        ([bound(1, 14, b"proof"), bound(2, 14, b"tampered")], "a token had an invalid signature"),
        ([bound(1, 14, b"proof"), bound(2, 14, b"\x01\x00\x00\x00")], "it does not seal with Kerberos; use ldaps://"),
        ([bound(1, 14, b"proof"), bound(2, 0)], ""),
        ([bound(1, 49)], "it answers invalidCredentials: it does not accept the account or its password"),
        ([*BOUND, message(4, done(0x65, 0))], ""),
        ([*BOUND[:2], BOUND[2] + machine(4, dNSHostName=b"evil") + message(4, done(0x65, 0))], ""),
        (
            [*BOUND, sealed(machine(4, dNSHostName=b"pc01"), message(4, done(0x65, 4)))],
            "it answers sizeLimitExceeded: it gives no more than its limit; give a narrower base or filter",
        ),
        (
            [*BOUND, sealed(message(4, done(0x65, 10, tlv(0xA3, tlv(4, b"ldap://evil/")))))],
            "it answers referral: it does not hold that base; give the url of the directory that does",
        ),
        ([*BOUND, sealed(machine(4, dNSHostName=b"pc01"))[:20]], ""),
        ([*BOUND, b"\xff\xff\xff\xff"], "a sealed answer of 4294967295 bytes"),
    ],
)
def test_what_is_no_answer_is_a_sentence(answers: list[bytes], sentence: str) -> None:
    """Whoever sits on the way can send anything before the handshake, and cut the line at any time."""
    said = refused(*answers)

    assert sentence in said
    assert len(said) < 400
    assert said.isprintable()


def test_a_password_is_not_said_to_who_offers_no_tls() -> None:
    """A man in the middle answers StartTLS with a refusal and waits for the bind."""
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                told.append(connection.recv(65536))
                connection.sendall(message(1, done(0x78, 2)))
                while part := connection.recv(65536):
                    told.append(part)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SourceProblem, match="startTLS failed"):
            ask(f"ldap://127.0.0.1:{server.getsockname()[1]}", Account("pull@corp.example", "hush"))
        thread.join()

    assert b"hush" not in b"".join(told)


def test_an_answer_of_who_is_not_known_yet_is_short() -> None:
    """Until the far end is known a megabyte is enough."""
    assert "more bytes than any list" in refused(tlv(0x30, b"x" * (directory.UNKNOWN + 1)))


def test_an_answer_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a directory says has a limit too, however well it is known."""
    monkeypatch.setattr(directory, "LARGEST", 1000)

    assert "more bytes than any list" in refused(*BOUND, sealed(*[machine(4, dNSHostName=b"a" * 100)] * 20))


def test_who_dawdles_is_left() -> None:
    """One byte in nine seconds would hold a thread for days."""
    moments = iter([0.0, 1.0, directory.LONGEST + 1])
    with serving(b"\x30", b"") as url, pytest.raises(SourceProblem, match="did not answer within 120 s"):
        ask(url, monotonic=lambda: next(moments))


def test_more_objects_than_sources_are_allowed_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base of a forest instead of that of the servers."""
    monkeypatch.setattr(directory, "MOST", 2)
    found = sealed(*[machine(4, dNSHostName=b"pc01")] * 3, message(4, done(0x65, 0)))

    assert refused(*BOUND, found) == "it finds more than 2 objects; give a narrower base or filter"


def page(number: int, cookie: bytes, *hosts: bytes) -> bytes:
    """An answer with more to come (RFC 2696)."""
    control = tlv(0x30, tlv(4, b"1.2.840.113556.1.4.319"), tlv(4, tlv(0x30, tlv(2, b"\0"), tlv(4, cookie))))
    return sealed(*(machine(number, dNSHostName=host) for host in hosts), message(number, done(0x65, 0), control))


def test_a_page_without_objects_is_no_end() -> None:
    """The rest would be taken for gone: all machines on the pages behind it would be unsubscribed."""
    with serving(*BOUND, page(4, b"a", b"pc01"), page(5, b"b"), page(6, b"", b"pc02")) as url:
        assert ask(url) == ["pc01", "pc02"]


def test_pages_without_objects_do_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that gives a new cookie each time could keep us busy."""
    monkeypatch.setattr(directory, "EMPTY", 2)

    assert "page after page without an object" in refused(*BOUND, *(page(number, b"x") for number in range(4, 8)))


@pytest.mark.parametrize("url", ["ldap://dc:99999", "ldap://[:::]", "ldap://.."])
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    """Nothing that stands in a file ends the collector."""
    with pytest.raises(SourceProblem):
        ask(url)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"filter": "operatingSystem=Windows*"}, 'filter "operatingSystem=Windows*" is none'),
        ({"filter": "(&(a=b)"}, 'filter "(&(a=b)" is none'),
        ({"base": "corp.example"}, 'base "corp.example" is no name of an object'),
        ({"attribute": "host name"}, 'attribute "host name" is none'),
    ],
)
def test_what_no_directory_understands_is_found_without_asking_one(changed: dict[str, str], sentence: str) -> None:
    """``wef check`` connects to nobody, and these are the mistakes that people make."""
    good = DirectorySources("ldaps://dc.corp.example", "DC=corp,DC=example", "(operatingSystem=Windows Server*)")

    assert mistake_in(good) is None
    assert (mistake_in(replace(good, **changed)) or "").startswith(sentence)
