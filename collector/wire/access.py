"""One ``[credentials.NAME]`` at work: the tickets, the TLS context and the rules that all its connections share.

It turns settings into what ``auth`` and ``connection`` take, and says in the file's words what does not fit. Who is
called, and what is said, others know.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

from collector.auth.credentials import Credentials
from collector.auth.initiator import Initiator, NotAuthenticated
from collector.auth.initiators import Initiators
from collector.clock import Clock
from collector.config.pull import CredentialsSettings, PullSettings
from collector.errors import OperatorError
from collector.wire.budget import Budget
from collector.wire.connection import Connection, Ways, Where, read_url
from collector.wire.hosts import Hosts
from collector.wire.proof import Proof
from collector.wire.tls import tls_context

DESKS = 4
"""Connections that ask a KDC at the same moment, each in a thread of its own."""


def ways_of(pull: PullSettings) -> Ways:
    """What all connections of a process share; make it once, however many credentials there are."""
    return Ways(Hosts(), Budget(pull.answers_size), asyncio.Semaphore(pull.connecting), pull.connect_time)


class Access:
    """One set of credentials. Raises ``OperatorError`` with sentences such as ``at credentials.NAME.keytab: ...``.

    *ways* is what it shares with the others; without it, it has its own.
    """

    def __init__(
        self,
        name: str,
        credentials: CredentialsSettings,
        pull: PullSettings | None = None,
        *,
        ways: Ways | None = None,
        clock: Clock | None = None,
    ) -> None:
        pull = pull or PullSettings()
        self.name = name
        self._credentials = credentials_of(name, credentials)
        self._initiators = _initiators(name, self._credentials, clock)
        self._limit = pull.answer_size
        self._ways = ways or ways_of(pull)
        self._desks = asyncio.Semaphore(DESKS)
        self._context: ssl.SSLContext | None = None
        if self._credentials.ca is not None or self._credentials.certificate is not None:
            self._context = self._tls()  # a file that does not do is better known at the start

    def connection(self, url: str, *, timeout: float) -> Connection:
        """A new connection to *url*; its first post opens it. *timeout*: seconds of an exchange.

        What these credentials may not be used for (a certificate without TLS, mechanism none on a network) is a
        ``Trouble`` of the first post, like everything that goes wrong there.
        """
        where = read_url(url)

        def prove() -> Proof:
            assert where is not None, "who cannot be connected to is not proven to"
            return Proof(partial(self._initiator, where), self._desks)

        return Connection(
            url,
            context=self._tls() if where is not None and where.secure else None,
            prove=prove,
            timeout=timeout,
            limit=self._limit,
            ways=self._ways,
        )

    def proves(self, url: str) -> str:
        """What a far end at *url* has proven to be when a connection to it is open: a service principal name, the
        name in its certificate, or ``""`` where it need not prove anything."""
        where = read_url(url)
        if where is None:
            return ""
        if self._credentials.mechanism in ("kerberos", "negotiate") and not self._credentials.trusts(where.host):
            return f"{self._credentials.service}/{where.host.removesuffix('.')}"
        return where.host.removesuffix(".") if where.secure else ""

    def _initiator(self, where: Where, served: bytes | None) -> Initiator:
        try:
            binding = None
            if served is not None and self._credentials.mechanism in ("kerberos", "negotiate"):
                # 9 MB that plain http does without
                from collector.auth.binding import endpoint_binding

                binding = endpoint_binding(served)
        except ValueError as error:  # what OpenSSL takes, others may not
            raise NotAuthenticated(f"the certificate of {where.host} cannot be read: {error}") from error
        return self._initiators.new(where.host, where.port, secure=where.secure, binding=binding)

    def _tls(self) -> ssl.SSLContext:
        """Made once: it holds the authorities, and two thousand copies of them would be hundreds of megabytes."""
        if self._context is None:
            mine = self._credentials
            try:
                self._context = tls_context(mine.ca, mine.certificate, mine.key)
            except OperatorError as error:
                key = "ca" if mine.ca is not None and error.problems[0].startswith(f"{mine.ca}:") else "certificate"
                raise OperatorError(
                    *(f"at credentials.{self.name}.{key}: {text}" for text in error.problems)
                ) from error
        return self._context


def credentials_of(name: str, written: CredentialsSettings) -> Credentials:
    """The values that ``auth`` takes. Raises ``OperatorError``, a sentence for each wrong key."""
    try:
        return Credentials(
            mechanism=written.mechanism,
            principal=written.principal,
            keytab=_text(written.keytab),
            ccache=written.ccache,
            username=written.username,
            password=written.password.get_secret_value() if written.password is not None else None,
            certificate=_text(written.certificate),
            key=_text(written.key),
            ca=_text(written.ca),
            trusted_hosts=tuple(written.trusted_hosts),
            allow_unencrypted=written.allow_unencrypted,
            allow_rc4=written.allow_rc4,
            service=written.service,
        )
    except OperatorError as error:
        raise OperatorError(*_placed(name, error.problems)) from error


def _initiators(name: str, credentials: Credentials, clock: Clock | None) -> Initiators:
    try:
        return Initiators(credentials, clock)
    except OperatorError as error:
        raise OperatorError(*_placed(name, error.problems)) from error


def _placed(name: str, problems: Sequence[str]) -> list[str]:
    """``credentials: username: ...`` as ``at credentials.NAME.username: ...``."""
    placed = []
    for problem in problems:
        text = problem.removeprefix("credentials: ")
        key = text.partition(" ")[0].rstrip(":")
        rest = text.removeprefix(f"{key}: ")  # "keytab and ccache: ..." keeps its words: two keys are meant
        placed.append(f"at credentials.{name}.{key}: {rest}")
    return placed


def _text(path: object) -> str | None:
    return str(path) if path is not None else None
