"""A caller of one realm and a host of another, as in every forest with a child domain."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collector.auth.credentials import Credentials
from collector.auth.initiators import Initiators
from tests.conftest import absent
from tests.contracts.far_ends import OurFarEnd, exchange, prove
from tests.servers.fixtures import made
from tests.servers.kdc import Kdc

CLIENT = """\
[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 udp_preference_limit = 1
[realms]
 CORP.TEST = {{
  kdc = 127.0.0.1:{parent}
 }}
 CHILD.TEST = {{
  kdc = 127.0.0.1:{child}
 }}
"""
"""It does not say which hosts are whose: the KDC does."""


@pytest.fixture(scope="module")
def forest() -> Iterator[tuple[Kdc, Kdc]]:
    """Two realms that trust each other; the parent knows which hosts are the child's."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    with ExitStack() as ending:
        parent, child = (ending.enter_context(made(Kdc, realm)) for realm in ("CORP.TEST", "CHILD.TEST"))
        conf = parent.krb5_conf
        conf.write_text(conf.read_text().replace("[domain_realm]\n", "[domain_realm]\n .child.test = CHILD.TEST\n"))
        for realm in (parent, child):
            realm.add("krbtgt/CHILD.TEST@CORP.TEST", password="what both know")
            realm.start()
        parent.wait()
        child.wait()
        yield parent, child


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
@pytest.mark.parametrize("realm", ["", "CHILD.TEST"])
def test_a_host_of_another_realm_is_reached_whether_its_realm_is_named_or_not(
    forest: tuple[Kdc, Kdc], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mechanism: str, realm: str
) -> None:
    """krb5.conf of a Linux host rarely says which names belong to which domain, and DNS must not decide it."""
    parent, child = forest
    conf = tmp_path / "krb5.conf"
    conf.write_text(CLIENT.format(parent=parent.port, child=child.port))
    keytab, service = parent.keytab("CALLER$"), child.keytab("HTTP/pc.child.test")
    monkeypatch.setenv("KRB5_CONFIG", str(conf))
    initiators = Initiators(Credentials(mechanism, principal="CALLER$@CORP.TEST", keytab=str(keytab)))
    initiator, far_end = initiators.new("pc.child.test", 5985, secure=False, realm=realm), OurFarEnd(service)

    prove(initiator, far_end)

    assert far_end.visitor.caller is not None
    assert far_end.visitor.caller.key == "caller$@corp.test"
    assert exchange(initiator, far_end, b"<a/>") == b"<a/><a/>"
