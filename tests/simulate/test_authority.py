"""The lab CA: certificates that strict peers accept, Python's and OpenSSL's as well as Windows'."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import ClientVerifier, PolicyBuilder, Store

from collector.auth.certificate import Authorities, name_of, thumbprint
from collector.simulate.authority import Issued, issue, make_authority, revocation_list

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return make_authority("Lab CA", NOW)


def test_a_server_certificate_verifies_for_its_name_only(authority: Issued) -> None:
    """RFC 5280 and RFC 6125, as a strict verifier reads them."""
    server = issue(authority, ["wec.lab.example", "10.0.0.7"], server=True, now=NOW)
    builder = PolicyBuilder().store(Store([authority.certificate])).time(NOW)

    builder.build_server_verifier(x509.DNSName("wec.lab.example")).verify(server.certificate, [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other.lab.example")).verify(server.certificate, [])


def test_a_client_certificate_verifies_as_a_client(authority: Issued) -> None:
    """With the key usage that Windows asks for, and for nothing else."""
    client = issue(authority, ["client1.lab.example"], server=False, now=NOW)
    verifier: ClientVerifier = PolicyBuilder().store(Store([authority.certificate])).time(NOW).build_client_verifier()

    verified = verifier.verify(client.certificate, [])

    assert verified.subjects == [x509.DNSName("client1.lab.example")]
    usages = client.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_addresses_are_written_as_addresses(authority: Issued) -> None:
    """An IP address in a dNSName is not believed by anybody."""
    server = issue(authority, ["127.0.0.1", "::1"], server=True, now=NOW)
    names = server.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert names.get_values_for_type(x509.DNSName) == []


def test_the_ca_may_sign_certificates_and_lists_and_no_other_ca(authority: Issued) -> None:
    """Windows refuses chains whose CA does not say so."""
    extensions = authority.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)

    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)


def test_our_own_gate_finds_the_issuer_and_the_name(authority: Issued) -> None:
    """The thumbprint printed is the one the offer will carry."""
    client = issue(authority, ["client1.lab.example"], server=False, now=NOW)
    other = make_authority("Lab CA", NOW)  # the same name, another key: a renewal
    authorities = Authorities([other.certificate, authority.certificate])

    assert authorities.issuer_of(client.certificate) == authority.certificate
    assert name_of(client.certificate) == "client1.lab.example"
    assert thumbprint(authority.certificate).upper() == authority.thumbprint


def test_a_revoked_certificate_stands_in_the_list(authority: Issued) -> None:
    """And one that is not revoked does not; the list is signed by its CA."""
    good, bad = (issue(authority, [name], server=False, now=NOW) for name in ("good", "bad"))
    crl = x509.load_pem_x509_crl(revocation_list(authority, [bad.certificate], NOW))
    authorities = Authorities([authority.certificate], [crl])

    assert authorities.objection(good.certificate, authority.certificate, NOW) is None
    assert "revoked" in (authorities.objection(bad.certificate, authority.certificate, NOW) or "")


def test_clocks_may_be_an_hour_behind(authority: Issued) -> None:
    """Lab machines are set up in the morning and synchronised in the afternoon."""
    leaf = issue(authority, ["x"], server=False, now=NOW).certificate

    assert leaf.not_valid_before_utc == NOW - timedelta(hours=1)
    assert leaf.not_valid_after_utc > NOW + timedelta(days=365)


def test_a_name_too_long_for_a_cn_is_a_san_only(authority: Issued) -> None:
    """A DNS name may have 253 characters, a common name 64."""
    name = f"{'a' * 60}.{'b' * 60}.lab.example"
    leaf = issue(authority, [name], server=False, now=NOW).certificate

    assert name_of(leaf) == name
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME) == []


def test_pythons_tls_takes_the_files(authority: Issued, tmp_path: Path) -> None:
    """Certificate and key belong together, in the form that OpenSSL reads."""
    server = issue(authority, ["wec.lab.example"], server=True, now=NOW)
    (tmp_path / "s.pem").write_bytes(server.pem())
    (tmp_path / "s.key").write_bytes(server.key_pem())

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "s.pem", tmp_path / "s.key")
    context.load_verify_locations(cadata=authority.pem().decode())

    assert len(context.get_ca_certs()) == 1
