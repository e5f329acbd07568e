"""What is wrong with a listener that runs, or should: pure judgements over what ``probes`` saw.

It compares the far end with the settings, because both are ours: what does not agree was not reloaded, or somebody
else answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509

from collector.auth.certificate import thumbprint
from collector.config.settings import ListenerSettings
from collector.delivery.exchange import VENDOR
from collector.doctor.findings import Finding, ok, problem, warning
from collector.doctor.probes import Reached

UNAUTHORIZED, OK = 401, 200
SCHEMES = {"kerberos": "Kerberos", "negotiate": "Negotiate"}
"""Mechanisms that have a challenge, and the scheme it names."""
RELOAD = "systemctl reload wef-collector (SIGHUP), and look at the log."


def look_at_ready(status: int | None, where: str) -> Finding:
    """/readyz of the whole collector."""
    if status is None:
        return warning(
            f"monitoring {where}", "nobody answers /readyz.", "systemctl status wef-collector; wef serve starts it."
        )
    if status != OK:
        return problem(f"monitoring {where}", f"/readyz says {status}: it does not serve yet.", "Look at its log.")
    return ok(f"monitoring {where}", "the collector is ready.")


def look_at_listener(name: str, settings: ListenerSettings, seen: Sequence[Reached]) -> Iterator[Finding]:
    """*seen*: every address that the listener should answer on."""
    for one in seen:
        subject = f"listener {name} ({f'[{one.address}]' if ':' in one.address else one.address}:{one.port})"
        if not one.open:
            yield problem(
                subject,
                f"nobody listens there: {one.trouble}.",
                f"systemctl status wef-collector; ss -ltnp 'sport = :{one.port}' shows who has the port.",
            )
            continue
        if settings.transport == "https":
            yield from _served(subject, settings, one)
        if one.trouble:
            yield problem(
                subject,
                f"it is open and does not talk {settings.transport}: {one.trouble}.",
                f"Somebody else may have the port (ss -ltnp 'sport = :{one.port}'), or its transport is another.",
            )
            continue
        yield from _answers(subject, settings, one)


def _answers(subject: str, settings: ListenerSettings, one: Reached) -> Iterator[Finding]:
    if one.version.startswith(VENDOR):
        yield ok(subject, f"it is open and says {one.version}.")
    else:
        yield problem(
            subject,
            f"it says that it is {one.version[:100]}." if one.version else "it does not answer Identify.",
            "Another program has the port, or a proxy stands before it: ss -ltnp.",
        )
        return
    wanted = {SCHEMES[word] for word in settings.authentication if word in SCHEMES}
    offered = {challenge.partition(" ")[0] for challenge in one.challenges}
    if settings.authentication == ["none"]:
        return
    if one.status != UNAUTHORIZED:
        yield problem(subject, f"it answers {one.status} to a request without proof; 401 is right.", RELOAD)
    elif {word.lower() for word in wanted} != {word.lower() for word in offered}:
        yield problem(
            subject,
            f"it offers {', '.join(sorted(offered)) or 'no scheme'}, the settings say"
            f" {', '.join(sorted(wanted)) or 'no scheme'}.",
            "Restart it: authentication is read at the start.",
        )
    else:
        yield ok(subject, f"who proves nothing gets 401 ({', '.join(one.challenges) or 'certificate only'}).")


def _served(subject: str, settings: ListenerSettings, one: Reached) -> Iterator[Finding]:
    if one.certificate is None:
        return
    try:
        served = x509.load_der_x509_certificate(one.certificate)
    except ValueError as error:
        yield problem(subject, f"it serves a certificate that cannot be read: {error}.", "Issue a new one.")
        return
    try:
        assert settings.certificate is not None
        file = x509.load_pem_x509_certificates(settings.certificate.read_bytes())[0]
    except (OSError, ValueError):
        return  # the certificate's own findings say so
    if served != file:
        yield problem(
            subject,
            f"it serves the certificate {thumbprint(served)[:16]}... (until {served.not_valid_after_utc:%Y-%m-%d}),"
            f" the file has {thumbprint(file)[:16]}... (until {file.not_valid_after_utc:%Y-%m-%d}).",
            RELOAD,
        )
    else:
        yield ok(subject, f"it serves the certificate of {settings.certificate}.")
