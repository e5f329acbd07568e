"""Whose certificate is it: names, issuers, revocation, purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.auth.base import Admitted, Refused, Verdict, Visitor
from collector.auth.certificate import Authorities, CertificateMechanism, thumbprint
from collector.clock import ManualClock

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(
    subject: list[str],
    issuer: Pair | None = None,
    *,
    san: tuple[str, ...] = (),
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    until: datetime = NOW + timedelta(days=30),
) -> Pair:
    """A certificate for the CNs *subject*, signed by *issuer* or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in subject])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(until)
    )
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(entry) for entry in san]), False)
    if issuer and usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def judge(leaf: Pair, authorities: Authorities) -> Verdict | None:
    clock = ManualClock(NOW)
    visitor = Visitor("192.0.2.7", True, leaf[0].public_bytes(serialization.Encoding.DER))
    return CertificateMechanism(authorities, clock).admit(visitor, "")


def test_the_name_is_the_first_dns_name_of_the_san() -> None:
    """contract.md section 3; the CN is what administrators forget to keep right."""
    ca = certificate(["Lab CA"])
    verdict = judge(certificate(["old-name"], ca, san=("PC01.corp.example", "pc01")), Authorities([ca[0]]))

    assert isinstance(verdict, Admitted)
    assert verdict.caller.name == "PC01.corp.example"
    assert verdict.caller.key == "pc01.corp.example"
    assert set(verdict.caller.names) == {"PC01.corp.example", "pc01", "old-name"}


def test_without_a_san_the_last_cn_is_the_name() -> None:
    """Windows templates put the organisation's CN first."""
    ca = certificate(["Lab CA"])

    verdict = judge(certificate(["Machines", "PC02"], ca), Authorities([ca[0]]))

    assert isinstance(verdict, Admitted)
    assert verdict.caller.name == "PC02"


def test_two_cas_of_one_name_are_told_apart_by_their_signatures() -> None:
    """During a renewal both are in use; the offer must carry the thumbprint of the right one."""
    old, new = certificate(["Lab CA"]), certificate(["Lab CA"])
    authorities = Authorities([old[0], new[0]])

    for ca in (old, new):
        verdict = judge(certificate(["pc"], ca), authorities)
        assert isinstance(verdict, Admitted)
        assert verdict.caller.issuer == thumbprint(ca[0])


def test_a_stranger_is_refused_with_the_name_of_its_ca() -> None:
    """The administrator must see which file lacks which CA."""
    verdict = judge(certificate(["pc"], certificate(["Other CA"])), Authorities([certificate(["Lab CA"])[0]]))

    assert isinstance(verdict, Refused)
    assert "Other CA" in verdict.reason


def test_a_server_certificate_is_no_proof_of_a_client() -> None:
    """Otherwise any web server of the domain could push events."""
    ca = certificate(["Lab CA"])

    verdict = judge(certificate(["www"], ca, usage=ExtendedKeyUsageOID.SERVER_AUTH), Authorities([ca[0]]))

    assert isinstance(verdict, Refused)
    assert "clientAuth" in verdict.reason


def test_an_expired_certificate_is_refused_also_on_a_resumed_session() -> None:
    """OpenSSL checks dates in full handshakes only."""
    ca = certificate(["Lab CA"])

    verdict = judge(certificate(["pc"], ca, until=NOW - timedelta(hours=1)), Authorities([ca[0]]))

    assert isinstance(verdict, Refused)


def revocation_list(ca: Pair, revoked: list[Pair], until: datetime) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca[0].subject)
        .last_update(NOW - timedelta(days=2))
        .next_update(until)
    )
    for pair in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(pair[0].serial_number).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(ca[1], hashes.SHA256())


def test_a_revoked_client_is_refused_and_its_neighbour_is_not() -> None:
    """Session resumption bypasses OpenSSL's own check, so this one decides."""
    ca = certificate(["Lab CA"])
    bad, good = certificate(["bad"], ca), certificate(["good"], ca)
    authorities = Authorities([ca[0]], [revocation_list(ca, [bad], NOW + timedelta(days=1))])

    assert isinstance(judge(bad, authorities), Refused)
    assert isinstance(judge(good, authorities), Admitted)


def test_an_expired_revocation_list_refuses_rather_than_guesses() -> None:
    """A list that nobody renews must be noticed, not ignored."""
    ca = certificate(["Lab CA"])
    authorities = Authorities([ca[0]], [revocation_list(ca, [], NOW - timedelta(days=1))])

    verdict = judge(certificate(["pc"], ca), authorities)

    assert isinstance(verdict, Refused)
    assert "expired" in verdict.reason


def test_a_name_too_long_for_any_machine_is_refused() -> None:
    """Names become keys, paths and log lines."""
    ca = certificate(["Lab CA"])

    assert isinstance(judge(certificate(["pc"], ca, san=("a" * 300,)), Authorities([ca[0]])), Refused)


def test_a_name_that_could_be_another_sources_is_refused() -> None:
    """A certificate for pc01$@corp would be the Kerberos source of that key, with a bookmark that is not its own."""
    ca = certificate(["Lab CA"])
    for name in ("PC01$@CORP", "PC\u212a01"):
        verdict = judge(certificate([name], ca), Authorities([ca[0]]))

        assert isinstance(verdict, Refused)
        assert "could be another source's" in verdict.reason
