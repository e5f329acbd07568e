"""The rounds of the doctor: all findings about one keytab, one pile of certificates, one listener, in reading order.

What a command prints is made here; how it prints is its own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from collector.auth.certificate import Authorities
from collector.auth.credentials import Credentials
from collector.auth.initiators import Initiators
from collector.auth.keytab import KeytabError, read_keytab
from collector.clock import Clock
from collector.config.settings import ListenerSettings
from collector.doctor import certificates, keytabs, listeners, probes, revocations
from collector.doctor.certificates import Held
from collector.doctor.findings import Finding, ok, problem, warning
from collector.doctor.names import Resolver, look_at_name
from collector.doctor.pile import Pile
from collector.doctor.tickets import Asking, Trial
from collector.errors import CollectorError

KERBEROS = ("kerberos", "negotiate")
MOST_HOSTS = 12
"""Names of one keytab that are looked at unasked: each costs questions to DNS and to the KDC."""


def of_keytab(
    path: Path,
    hosts: Sequence[str],
    asking: Asking,
    clock: Clock,
    resolver: Resolver | None,
    *,
    allow_rc4: bool = False,
) -> Iterator[Finding]:
    """A keytab, the names it should serve, and tickets for them. *hosts* empty: those that it has HTTP/ keys of.

    *resolver* None: whether the names lead here was looked at already.

    Raises ``KeytabError``.
    """
    subject = f"keytab {path}"
    entries = read_keytab(path)
    yield from keytabs.look_at_keytab(subject, entries, path.stat().st_mode, allow_rc4=allow_rc4)
    named = hosts or hosts_of(path)
    if entries and not named:
        text = "it has no key of HTTP/, and nobody said for which name one is needed, so no ticket was tried."
        yield warning(subject, text, f"wef doctor keytab {path} --name HOST, the name in the policy.")
    if len(named) > MOST_HOSTS:
        text = f"it has keys of {len(named)} hosts; the first {MOST_HOSTS} are looked at."
        yield warning(subject, text, "wef doctor keytab --name HOST looks at another.")
    for host in named[:MOST_HOSTS]:
        if resolver is not None:
            yield from look_at_name(host, resolver, kerberos=True)
        trial = Trial(subject, path, entries, host, clock)
        tried = list(trial.run(asking)) if entries else []
        yield from keytabs.names(subject, entries, host, trial.opened)
        yield from tried


def hosts_of(path: Path) -> Sequence[str]:
    """The hosts that *path* has keys of HTTP/ for. Raises ``KeytabError``."""
    found = [entry.components for entry in read_keytab(path)]
    return list(dict.fromkeys(name[1] for name in found if len(name) == 2 and name[0].upper() == "HTTP"))


def of_pile(pile: Pile, host: str | None, clock: Clock) -> Iterator[Finding]:
    """Certificates, keys and lists that were named by hand: what each is shows in itself."""
    now = clock.now()
    authorities = [held for held in pile.certificates if certificates.can_sign(held.certificate)]
    leaves = [held for held in pile.certificates if held not in authorities]
    known = Authorities([held.certificate for held in authorities], [listed.crl for listed in pile.lists])
    for held in leaves:
        if _is_client(held.certificate):
            yield from certificates.life(held, now)
            if authorities:
                yield from certificates.look_at_client(held, known, clock)
            else:
                yield from certificates.path_of(held, pile.certificates, now)
        else:
            yield from certificates.look_at_server(held, pile.certificates, host, now)
    yield from _authorities(pile, authorities, clock)
    for key in pile.keys:
        owners = [held for held in pile.certificates if certificates.public_half(held.certificate) == key.public]
        for owner in owners or leaves[:1] or (None,):
            yield from certificates.look_at_key(owner, key.public, key.path, key.mode)


def of_tls(listener: ListenerSettings, host: str, clock: Clock) -> Iterator[Finding]:
    """The files of an HTTPS listener. Raises ``OperatorError`` (65)."""
    assert listener.certificate is not None
    assert listener.key is not None
    own = Pile.of([listener.certificate]).certificates
    clients = Pile.of([*listener.client_ca, *listener.crl])
    if not own:
        text = "it holds no certificate."
        yield problem(f"certificate {listener.certificate}", text, "Name the PEM file with certificate and chain.")
        return
    yield from certificates.look_at_server(own[0], [*own[1:], *clients.certificates], host, clock.now())
    for key in Pile.of([listener.key]).keys:
        yield from certificates.look_at_key(own[0], key.public, key.path, key.mode)
    yield from _authorities(clients, clients.certificates, clock)


def of_client(path: Path, listener: ListenerSettings, clock: Clock) -> Iterator[Finding]:
    """Whether *listener* would let in the client whose certificate is in *path*. Raises ``OperatorError``."""
    authorities = Authorities.load(listener.client_ca, listener.crl)
    found = Pile.of([path]).certificates[:1]
    if not found:
        yield problem(f"client {path}", "it holds no certificate.", "Name the PEM or DER file of the certificate.")
    for held in found:
        yield from certificates.look_at_client(held, authorities, clock)


def of_listener(
    name: str, listener: ListenerSettings, host: str, asking: Asking, clock: Clock, resolver: Resolver
) -> Iterator[Finding]:
    """A listener from the outside, as a source meets it: name, port, TLS, answer, and a proof of who calls."""
    kerberos = any(word in KERBEROS for word in listener.authentication)
    subject = f"listener {name}"
    if listener.port == 0:
        text = "its port is chosen at each start (port = 0), so it cannot be found from here."
        yield warning(subject, text, "Give it a port; 5985 and 5986 are what Windows expects.")
        return
    yield from look_at_name(host, resolver, kerberos=kerberos)
    secure = listener.transport == "https"
    seen = [
        probes.reach(address, listener.port, secure=secure, host=host) for address in probes.dialled(listener.addresses)
    ]
    if listener.addresses == ("*",) and any(one.open for one in seen):
        seen = [one for one in seen if one.open]  # a machine without IPv6 answers on IPv4 alone
    yield from listeners.look_at_listener(name, listener, seen)
    if kerberos and listener.keytab is not None:
        try:
            yield from of_keytab(listener.keytab, [host], asking, clock, None, allow_rc4=listener.allow_rc4)
        except KeytabError as error:
            yield problem(f"keytab {listener.keytab}", error.problems[0], "Make it anew: wef doctor keytab.")
            return
        answering = [one for one in seen if one.version]
        if answering:
            yield _proven(subject, listener, host, answering[0], asking, clock)


def _proven(
    subject: str, listener: ListenerSettings, host: str, at: probes.Reached, asking: Asking, clock: Clock
) -> Finding:
    """A whole conversation: ticket, proof both ways, sealed Identify."""
    mechanism = next(word for word in listener.authentication if word in KERBEROS)
    account, keytab = asking.principal, asking.keytab
    if account is None and listener.keytab is not None:
        keytab = listener.keytab
        account = next((entry.principal for entry in read_keytab(keytab) if host in entry.components), None)
    secure = listener.transport == "https"
    try:
        initiators = Initiators(
            Credentials(mechanism, principal=account, keytab=str(keytab) if keytab and account else None), clock
        )
        realm = account.rpartition("@")[2] if account and "@" in account else ""
        version = probes.identify_as(
            lambda binding: initiators.new(host, at.port, secure=secure, binding=binding, realm=realm),
            at.address,
            at.port,
            secure=secure,
            host=host,
        )
    except (CollectorError, OSError) as error:
        text = f"a caller with a ticket was not served: {str(error).removesuffix('.')}."
        remedy = "The findings about the keytab say more, and so does the reason in the collector's log."
        return (warning if asking.principal is None else problem)(subject, text, remedy)
    sealed = "inside TLS" if secure else "sealed"
    return ok(subject, f"{account or 'the tickets of kinit'} was let in by {mechanism}, {sealed}: {version}.")


def _authorities(pile: Pile, authorities: Sequence[Held], clock: Clock) -> Iterator[Finding]:
    now = clock.now()
    for held in authorities:
        yield from certificates.look_at_authority(held, now)
    yield from certificates.look_at_namesakes(authorities)
    yield from revocations.look_at_lists(pile.lists, authorities, now)


def _is_client(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages and ExtendedKeyUsageOID.SERVER_AUTH not in usages
