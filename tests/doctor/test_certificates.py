"""Certificates and revocation lists judged: each finding provoked once, with certificates made here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.auth.certificate import Authorities
from collector.clock import ManualClock
from collector.doctor import certificates
from collector.doctor.certificates import Held
from collector.doctor.findings import Finding, sick
from collector.doctor.pile import Pile
from collector.doctor.revocations import Listed, look_at_lists
from collector.doctor.rounds import of_pile
from collector.errors import OperatorError
from collector.simulate.authority import Issued, issue, make_authority, revocation_list
from tests.doctor.saying import only, severities

CLOCK = ManualClock()
NOW = CLOCK.now()
HOST = "wec.corp.example"
AUTHORITY = make_authority("Test CA", NOW)


def held(issued: Issued, path: str = "x.pem") -> Held:
    return Held(path, issued.certificate)


def server(
    *, host: str | None = HOST, names: Sequence[str] = (HOST,), later: timedelta = timedelta(0), client: bool = False
) -> list[Finding]:
    """What is said *later* of a server certificate for *names*; *client*: made for clients by mistake."""
    issued = issue(AUTHORITY, names, server=not client, now=NOW)
    return list(certificates.look_at_server(held(issued), [held(AUTHORITY)], host, NOW + later))


def odd(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, signer: rsa.RSAPrivateKey | None = None) -> Held:
    """A certificate without any extension, in the name of the test's CA, signed by it or by *signer*."""
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]))
    builder = builder.issuer_name(AUTHORITY.certificate.subject).public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=90))
    return Held("odd.pem", builder.sign(signer or AUTHORITY.key, hashes.SHA256()))


def test_a_good_server_certificate_is_good() -> None:
    """Dates, name, chain: three lines, nothing to do."""
    assert severities(server()) == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("found", "said", "severity"),
    [
        (server(later=timedelta(days=900)), "has expired on", "problem"),
        (server(later=timedelta(days=-2)), "only", "problem"),
        (server(later=timedelta(days=810)), "in 15 days", "warning"),
        (server(host="other.example"), "not for other.example, the name in the policy", "problem"),
        (server(client=True), "not made for Server Authentication", "problem"),
    ],
)
def test_what_makes_sources_refuse_the_server(found: list[Finding], said: str, severity: str) -> None:
    """12175 on every source, and no word in our log."""
    assert only(found, said).severity == severity
    assert only(found, said).remedy


def test_a_wildcard_stands_for_one_label() -> None:
    """RFC 6125 6.4.3, as Windows has it."""
    assert not sick(server(names=["*.corp.example"]))
    assert sick(server(names=["*.corp.example"], host="a.b.corp.example"))


def test_a_certificate_without_names_purpose_or_strength() -> None:
    """What an old script of openssl makes."""
    weak = odd(rsa.generate_private_key(65537, 1024))

    found = list(certificates.look_at_server(weak, [held(AUTHORITY)], HOST, NOW))

    assert only(found, "1024 bits").severity == "problem"
    assert only(found, "no subject alternative name").severity == "problem"
    assert only(found, "names no purpose").severity == "warning"


def test_a_sha1_signature_is_a_problem() -> None:
    """OpenSSL and Windows refuse it; a root's own signature does not matter."""
    key = rsa.generate_private_key(65537, 2048)
    der = odd(key, signer=key).certificate.public_bytes(certificates._DER)
    sha256, sha1 = (
        bytes.fromhex(f"2a864886f70d0101{end}") for end in ("0b", "05")
    )  # the library signs no SHA-1 itself
    old = Held("old.pem", x509.load_der_x509_certificate(der.replace(sha256, sha1)))

    assert only(certificates.strength(old), "signed with SHA1").severity == "problem"


def test_an_odd_curve_is_a_warning() -> None:
    """Windows Server 2012 R2 takes P-256 and P-384 only (protocol.md 3.6)."""
    curve = odd(ec.generate_private_key(ec.SECP256K1()))

    assert only(certificates.strength(curve), "secp256k1").severity == "warning"


def test_a_chain_that_ends_early_is_told() -> None:
    """Windows fetches no intermediate that is not served."""
    alone = issue(AUTHORITY, [HOST], server=True, now=NOW)

    found = only(certificates.path_of(held(alone), [], NOW), "signed by CN=Test CA, which no file here has")

    assert found.severity == "warning"


def test_a_self_signed_certificate_is_told() -> None:
    """It works in a lab, with the very certificate in every source's store."""
    assert only(certificates.path_of(held(AUTHORITY), [], NOW), "self-signed").severity == "warning"


def test_a_ca_says_what_the_policy_calls_it() -> None:
    """People paste the wrong thumbprint; this is the right one."""
    found = list(certificates.look_at_authority(held(AUTHORITY), NOW))

    assert f"IssuerCA={AUTHORITY.thumbprint}" in found[0].text
    assert not sick(found)


def test_a_client_certificate_in_place_of_its_ca_is_told() -> None:
    """client_ca takes it silently, and then nobody gets in."""
    leaf = issue(AUTHORITY, ["pc1.corp.example"], server=False, now=NOW)

    assert only(certificates.look_at_authority(held(leaf), NOW), "it is no CA").severity == "problem"


def test_two_cas_of_one_name_are_told_with_both_thumbprints() -> None:
    """A renewal: the policy of a source needs the one that signed its certificate."""
    other = make_authority("Test CA", NOW)

    (found,) = certificates.look_at_namesakes([held(AUTHORITY), held(other)])

    assert AUTHORITY.thumbprint in found.text
    assert other.thumbprint in found.text
    assert list(certificates.look_at_namesakes([held(AUTHORITY), held(AUTHORITY)])) == []


def client(issued: Issued, authorities: Authorities) -> list[Finding]:
    return list(certificates.look_at_client(held(issued), authorities, CLOCK))


def test_a_client_that_would_be_let_in_is_named_as_it_would_be_known() -> None:
    """The key of its bookmarks, and the IssuerCA of its policy."""
    found = client(issue(AUTHORITY, ["PC1.corp.example"], server=False, now=NOW), Authorities([AUTHORITY.certificate]))

    assert "let in as pc1.corp.example" in only(found, "would be let in").text
    assert not sick(found)


@pytest.mark.parametrize("wrong", ["stranger", "purpose", "revoked", "expired"])
def test_a_client_that_would_be_refused_is_told_why(wrong: str) -> None:
    """In the words of the door, because the door is asked."""
    signer = make_authority("Test CA", NOW) if wrong == "stranger" else AUTHORITY
    now = NOW - timedelta(days=900) if wrong == "expired" else NOW
    issued = issue(signer, ["pc1.corp.example"], server=wrong == "purpose", now=now)
    lists = (
        [x509.load_pem_x509_crl(revocation_list(AUTHORITY, [issued.certificate], NOW))] if wrong == "revoked" else []
    )

    found = only(client(issued, Authorities([AUTHORITY.certificate], lists)), "would be refused")

    assert found.severity == "problem"
    said = {"stranger": "not in client_ca", "purpose": "clientAuth", "revoked": "is revoked", "expired": "valid from"}
    assert said[wrong] in found.text


def test_a_key_of_another_certificate_or_for_everybody_is_told() -> None:
    """The two mistakes of copying."""
    mine, other = (issue(AUTHORITY, [HOST], server=True, now=NOW) for _ in range(2))
    public = certificates.public_half(mine.certificate)

    assert severities(certificates.look_at_key(held(mine), public, "x.key", 0o100640)) == ["ok"]
    assert severities(certificates.look_at_key(held(other), public, "x.key", 0o100644)) == ["problem", "problem"]


def listed(authority: Issued, made: timedelta = timedelta(0)) -> Listed:
    return Listed("x.crl", x509.load_pem_x509_crl(revocation_list(authority, [], NOW + made)))


@pytest.mark.parametrize(
    ("lists", "said", "severity"),
    [
        ([listed(AUTHORITY)], "good until", "ok"),
        ([listed(AUTHORITY, timedelta(days=-4000))], "has expired", "problem"),
        ([listed(AUTHORITY, timedelta(days=-3649))], "it ends on", "warning"),
        ([listed(AUTHORITY, timedelta(days=3))], "the future", "problem"),
        ([listed(AUTHORITY), listed(make_authority("Another CA", NOW))], "none of the CAs signed it", "problem"),
        ([listed(AUTHORITY), listed(make_authority("Test CA", NOW))], "with another key", "problem"),
        ([listed(make_authority("Another CA", NOW))], "there is no revocation list of it", "problem"),
    ],
)
def test_revocation_lists(lists: list[Listed], said: str, severity: str) -> None:
    """A stale list refuses every source at once, on a Sunday."""
    assert only(look_at_lists(lists, [held(AUTHORITY)], NOW), said).severity == severity


def test_without_any_list_nobody_is_asked_for_one() -> None:
    """Revocation is a choice of the house."""
    assert list(look_at_lists([], [held(AUTHORITY)], NOW)) == []


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_files_are_sorted_by_what_is_in_them(tmp_path: Path) -> None:
    """Whoever asks has a folder of files and no idea which is which."""
    leaf = issue(AUTHORITY, [HOST], server=True, now=NOW)
    pc = issue(AUTHORITY, ["pc1.corp.example"], server=False, now=NOW)
    everything = leaf.pem() + leaf.key_pem() + AUTHORITY.pem() + revocation_list(AUTHORITY, [], NOW)
    path = written(tmp_path / "all.pem", everything)
    path.chmod(0o600)

    found = list(of_pile(Pile.of([path, written(tmp_path / "pc.pem", pc.pem())]), HOST, CLOCK))

    assert not sick(found)
    for said in ("it is for wec", "it is a CA", "would be let in as pc1", "it belongs to", "0 revoked"):
        only(found, said)
    assert not any("PRIVATE" in str(dataclasses.asdict(finding)) for finding in found)


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_with_nothing_in_it_is_refused(tmp_path: Path, content: bytes) -> None:
    """65, and which file."""
    with pytest.raises(OperatorError, match=r"x\.pem") as refused:
        Pile.of([written(tmp_path / "x.pem", content)])
    assert refused.value.exit_code == 65


def test_der_is_taken_too(tmp_path: Path) -> None:
    """What Windows exports by default."""
    pile = Pile.of([written(tmp_path / "x.cer", AUTHORITY.certificate.public_bytes(certificates._DER))])

    assert pile.certificates[0].certificate == AUTHORITY.certificate


def test_any_purpose_serves_every_purpose() -> None:
    """anyExtendedKeyUsage, RFC 5280 4.2.1.12."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(AUTHORITY.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(8).not_valid_before(NOW)
    builder = builder.not_valid_after(NOW + timedelta(days=90)).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), critical=False
    )
    made = Held("any.pem", builder.sign(AUTHORITY.key, hashes.SHA256()))

    assert not any("purpose" in finding.text for finding in certificates.look_at_server(made, [], None, NOW))


def middle_ca(middle: ec.EllipticCurvePrivateKey, *, ca: bool = True, ended: bool = False) -> Issued:
    """What the root signed for the key *middle*."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Middle CA")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(AUTHORITY.certificate.subject).serial_number(8)
    builder = builder.public_key(middle.public_key()).not_valid_before(NOW - timedelta(days=90))
    builder = builder.not_valid_after(NOW + timedelta(days=-1 if ended else 90))
    for usage in (x509.BasicConstraints(ca=ca, path_length=None), x509.SubjectKeyIdentifier(b"12345678")):
        builder = builder.add_extension(usage, critical=False)
    return Issued(builder.sign(AUTHORITY.key, hashes.SHA256()), middle)


def intermediate(*signers: Issued) -> list[Finding]:
    """What is said of a server certificate that the first of *signers* signed, with all of them in the chain."""
    leaf = issue(signers[0], [HOST], server=True, now=NOW)
    return list(certificates.look_at_server(held(leaf), [*map(held, signers), held(AUTHORITY)], HOST, NOW))


def test_a_chain_is_as_good_as_its_weakest_ca() -> None:
    """The certificate itself is fine for a year, and no source connects."""
    key = ec.generate_private_key(ec.SECP256R1())
    good, ended = middle_ca(key), middle_ca(key, ended=True)

    assert severities(intermediate(good)) == ["ok", "ok", "ok"]
    assert severities(intermediate(ended, good)) == ["ok", "ok", "ok"]  # renewed with its key
    assert only(intermediate(ended), "Middle CA, which has expired").severity == "problem"
    assert only(intermediate(middle_ca(key, ca=False)), "Middle CA, which is no CA").severity == "problem"


@pytest.mark.parametrize(("oid", "value"), [("17", "300387 0101"), ("37", "0500"), ("19", "0500")])
def test_a_certificate_with_broken_extensions_is_a_sentence(tmp_path: Path, oid: str, value: str) -> None:
    """OpenSSL serves one with a broken alternative name; the library complains only when somebody reads it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"2.5.29.{oid}"), bytes.fromhex(value))
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(9).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    signed = builder.add_extension(broken, critical=False).sign(key, hashes.SHA256())
    path = tmp_path / "broken.pem"
    path.write_bytes(Issued(signed, key).pem())

    with pytest.raises(OperatorError, match=r"broken\.pem cannot be taken apart"):
        Pile.of([path])


def test_a_key_that_comes_alone_is_looked_at_too(tmp_path: Path) -> None:
    """Readable by the world, and nothing was said of it."""
    path = tmp_path / "key.pem"
    path.write_bytes(AUTHORITY.key_pem())
    path.chmod(0o644)

    found = list(of_pile(Pile.of([path]), None, CLOCK))

    assert only(found, "no certificate beside it").severity == "warning"
    assert only(found, "others can read").severity == "problem"
