"""Who may ask a pretend machine, over real sockets: certificates of a lab CA, tickets of a real KDC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.config.pull import CredentialsSettings
from collector.errors import OperatorError
from collector.simulate.authority import Issued, issue, make_authority
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.population import FleetOptions
from collector.wire.access import Access
from collector.wire.trouble import Trouble
from collector.wsman.answers import Subscribed
from tests.servers.kdc import Kdc
from tests.simulate.caller import Caller, Stand, record_numbers

NOW = datetime.now(UTC)  # noqa: TID251 - OpenSSL checks certificates against the wall clock
ONE = FleetOptions("", sources=1)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, Issued], tuple[Path, Path]]:
    def write(name: str, issued: Issued) -> tuple[Path, Path]:
        pem, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        pem.write_bytes(issued.pem())
        key.write_bytes(issued.key_pem())
        return pem, key

    return write


async def conversed(options: ServeOptions, access: Access, *script: str) -> tuple[Stand, list[int]]:
    """A machine of *options* is subscribed to and pulled; what came."""
    async with HostFleet(options, SystemClock()) as fleet:
        stand = Stand(fleet)
        stand.served.manners = stand.manners
        stand.manners.say_next(*script)
        url = f"{stand.url}/wsman"
        caller = Caller(access.connection(url, timeout=10.0), url)
        try:
            assert isinstance(await caller.subscribe(read_existing_events=True), Subscribed)
            stand.happen(3)
            return stand, record_numbers(await caller.pulled())
        finally:
            await caller.connection.close()


async def test_a_certificate_of_the_right_ca_opens_the_door(
    written: Callable[[str, Issued], tuple[Path, Path]],
) -> None:
    """HTTPS 5986 with client certificates, and nothing sealed."""
    authority = make_authority("Lab CA", NOW)
    ca, _ = written("ca", authority)
    machine, its_key = written("machine", issue(authority, ["localhost"], server=True, now=NOW))
    mine, my_key = written("collector", issue(authority, ["collector"], server=False, now=NOW))
    options = ServeOptions(ONE, mechanism="certificate", ca=ca, certificate=machine, key=its_key, host_name="localhost")
    access = Access("lab", CredentialsSettings(mechanism="certificate", certificate=mine, key=my_key, ca=ca))
    stand, numbers = await conversed(options, access)

    assert stand.url.startswith("https://localhost:")
    assert len(numbers) == 3
    assert [key.partition("\0")[0] for key in stand.host.accounts] == ["collector"]


async def test_without_a_certificate_the_door_stays_shut(written: Callable[[str, Issued], tuple[Path, Path]]) -> None:
    """The handshake is let through, so that the 401 can say it."""
    authority = make_authority("Lab CA", NOW)
    ca, _ = written("ca", authority)
    machine, its_key = written("machine", issue(authority, ["localhost"], server=True, now=NOW))
    stranger, its_own = written("stranger", issue(make_authority("Other", NOW), ["x"], server=False, now=NOW))
    options = ServeOptions(ONE, mechanism="certificate", ca=ca, certificate=machine, key=its_key, host_name="localhost")
    access = Access("lab", CredentialsSettings(mechanism="certificate", certificate=stranger, key=its_own, ca=ca))
    with pytest.raises(Trouble):
        await conversed(options, access)


@pytest.mark.parametrize("mechanism", ["kerberos", "negotiate"])
@pytest.mark.usefixtures("kerberos_library")
@pytest.mark.slow
async def test_a_ticket_opens_the_door_and_everything_is_sealed(kdc: Kdc, mechanism: str) -> None:
    """HTTP 5985, as in a domain; the machine's key is HTTP/localhost."""
    service, client = kdc.keytab("HTTP/localhost"), kdc.keytab("pulling")
    options = ServeOptions(ONE, mechanism=mechanism, keytab=service, host_name="localhost")
    settings = CredentialsSettings(mechanism=mechanism, principal="pulling@WEF.TEST", keytab=client)  # type: ignore[arg-type]
    stand, numbers = await conversed(options, Access("domain", settings))

    assert len(numbers) == 3
    assert [key.partition("\0")[0] for key in stand.host.accounts] == ["pulling@wef.test"]


@pytest.mark.parametrize("mood", ["unsealed", "tampered"])
@pytest.mark.usefixtures("kerberos_library")
@pytest.mark.slow
async def test_what_is_not_sealed_as_agreed_is_not_believed(kdc: Kdc, mood: str) -> None:
    """Somebody between the two could have written it."""
    service, client = kdc.keytab("HTTP/localhost"), kdc.keytab("pulling")
    options = ServeOptions(ONE, mechanism="kerberos", keytab=service, host_name="localhost")
    settings = CredentialsSettings(mechanism="kerberos", principal="pulling@WEF.TEST", keytab=client)
    with pytest.raises(Trouble) as caught:
        await conversed(options, Access("domain", settings), f"pull:{mood}")

    assert caught.value.reason == "sealing"


def test_machines_that_ask_for_no_proof_stay_on_loopback() -> None:
    """What they log may be a copy of the real thing."""
    with pytest.raises(OperatorError, match="loopback"):
        ServeOptions(ONE, address="10.0.0.1")


def test_what_a_mechanism_needs_is_named() -> None:
    """Before anything listens."""
    with pytest.raises(OperatorError, match="--keytab"):
        HostFleet(ServeOptions(ONE, mechanism="kerberos"), SystemClock())
    with pytest.raises(OperatorError, match="--cert and --key"):
        HostFleet(ServeOptions(ONE, mechanism="certificate"), SystemClock())
    with pytest.raises(OperatorError, match="give their --cert"):
        ServeOptions(replace(ONE), ca=Path("ca.pem"))
