"""What every Kafka engine must do (``collector.sinks.kafka.engine``), asked of each of them, of real brokers.

Adding an engine means adding a line to ENGINES (``kafka_engines``).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest

from collector.sinks.kafka.engine import Engine, Failure, Message, Verdict
from tests.conftest import REPOSITORY
from tests.contracts.kafka_engines import ENGINES, NOW, as_stored, engine, message, messages, opened, orders, verdicts
from tests.contracts.topic_log import allow_writing, make_topic, read_log
from tests.servers.fixtures import made
from tests.servers.kafka import Kafka, SecureKafka
from tests.servers.server import free_port

pytestmark = pytest.mark.slow
HOURS = 3_600_000
OURS = "ours-"
"""Of the guarded broker, the topics that we may write to begin so."""


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    """Builds the engine in question: ``make("host:port", delivery_timeout="2s")``."""
    kind: str = request.param

    def build(broker: str, **settings: Any) -> Engine:
        return engine(kind, broker, **settings)

    return build


# A broker that works -----------------------------------------------------------------------------------------------


async def test_what_was_delivered_can_be_read_back_to_the_last_byte(make: Callable[..., Engine], kafka: Kafka) -> None:
    """Value, key, headers and time are the evidence; a library that changes any of them forges it."""
    topic = make_topic(kafka.bootstrap, partitions=1)
    sent = [
        message(topic, 0),
        message(topic, 1, None),
        message(topic, 2, value=bytes(range(256)), headers=[]),
        message(topic, 3, "", value=b"", timestamp=1),
        message(topic, 4, value=b"x" * 100_000),
    ]

    async with opened(make(kafka.bootstrap)) as one:
        failures = await one.deliver(sent)

    assert list(failures) == []
    assert read_log(kafka.bootstrap, topic) == [as_stored(each, 0) for each in sent]


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
async def test_every_compression_arrives(make: Callable[..., Engine], kafka: Kafka, compression: str) -> None:
    """Each is a word of the contract, and each needs another piece of the library."""
    topic = make_topic(kafka.bootstrap)
    sent = messages(topic, 0, 50)

    async with opened(make(kafka.bootstrap, compression=compression)) as one:
        assert list(await one.deliver(sent)) == []

    assert {each.value for each in read_log(kafka.bootstrap, topic)} == {each.value for each in sent}


async def test_each_key_keeps_its_order_within_a_call_and_from_call_to_call(
    make: Callable[..., Engine], kafka: Kafka
) -> None:
    """A lane has many writes under way at once; the story of one machine must still read forwards."""
    topic = make_topic(kafka.bootstrap)
    sent = messages(topic, 0, 6000, keys=13)

    async with opened(make(kafka.bootstrap)) as one:
        done = await asyncio.gather(*(one.deliver(sent[n : n + 300]) for n in range(0, 6000, 300)))

    assert [list(failures) for failures in done] == [[]] * 20
    assert orders(read_log(kafka.bootstrap, topic)) == orders([as_stored(each, 0) for each in sent])


async def test_both_engines_put_a_key_into_the_same_partition(kafka: Kafka) -> None:
    """Whoever changes the engine must not cut the order of every machine in two."""
    topic = make_topic(kafka.bootstrap, partitions=7)
    sent = [message(topic, n, f"pc{n:03}.corp.ex\u00e4mple"[: 4 + n % 20]) for n in range(60)]

    for kind in ENGINES:
        async with opened(engine(kind, kafka.bootstrap)) as one:
            assert list(await one.deliver(sent)) == []

    places: dict[bytes | None, set[int]] = {}
    for each in read_log(kafka.bootstrap, topic):
        places.setdefault(each.key, set()).add(each.partition)
    assert {len(partitions) for partitions in places.values()} == {1}
    assert len(set().union(*places.values())) > 1


async def test_nothing_is_delivered_at_once(make: Callable[..., Engine], kafka: Kafka) -> None:
    """An empty share is confirmed like any other."""
    async with opened(make(kafka.bootstrap)) as one:
        assert list(await one.deliver([])) == []
        assert list(await one.look_up([])) == []


async def test_an_engine_can_be_closed_and_opened_again(make: Callable[..., Engine], kafka: Kafka) -> None:
    """A reload closes and opens; closing twice is no mistake."""
    topic = make_topic(kafka.bootstrap, partitions=1)
    one = make(kafka.bootstrap)

    for number in range(2):
        async with opened(one):
            assert list(await one.deliver([message(topic, number)])) == []
        await one.close()

    assert [each.value for each in read_log(kafka.bootstrap, topic)] == [b'{"n":0}', b'{"n":1}']


async def test_a_delivery_that_is_cancelled_leaves_the_engine_usable(make: Callable[..., Engine], kafka: Kafka) -> None:
    """A lane gives up waiting for an answer now and then; the sink is the same afterwards."""
    topic = make_topic(kafka.bootstrap)

    async with opened(make(kafka.bootstrap)) as one:
        given_up = [asyncio.create_task(one.deliver(messages(topic, n, n + 500))) for n in range(0, 5000, 500)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        await asyncio.wait(given_up)
        assert list(await one.deliver([message(topic, 9999)])) == []

    assert b'{"n":9999}' in {each.value for each in read_log(kafka.bootstrap, topic)}


# What brokers refuse -----------------------------------------------------------------------------------------------


async def test_a_missing_topic_is_named_and_the_others_are_not(make: Callable[..., Engine], kafka: Kafka) -> None:
    """A producer waits for it as for an outage; the operator must hear that it is his turn."""
    there = make_topic(kafka.bootstrap)

    async with opened(make(kafka.bootstrap)) as one:
        troubles = await one.look_up([there, "windows-missing"])

    assert [(trouble.topic, trouble.verdict) for trouble in troubles] == [("windows-missing", Verdict.BLOCKED)]


@pytest.mark.parametrize("poison", [{"value": b"x" * 30_000}, {"timestamp": NOW + 3 * HOURS}], ids=["size", "time"])
async def test_poison_is_refused_and_the_engine_lives_on(
    make: Callable[..., Engine], kafka: Kafka, poison: dict[str, Any]
) -> None:
    """One record must not keep a lane from delivering for ever, nor may its neighbours be called poison alone."""
    topic = make_topic(kafka.bootstrap, partitions=1, max_message_bytes="20000")
    good = messages(topic, 0, 30)
    batch = [*good[:11], message(topic, 11, **poison), *good[12:]]

    async with opened(make(kafka.bootstrap, compression="none")) as one:
        failures = await one.deliver(batch)
        alone = [await one.deliver([batch[11]]), await one.deliver([batch[12]])]

    assert 11 in {failure.row for failure in failures}
    assert verdicts(failures) == {Verdict.REFUSED}
    assert [failure.row for failure in failures] == sorted(failure.row for failure in failures)
    assert [[failure.verdict for failure in each] for each in alone] == [[Verdict.REFUSED], []]


# A broker that is away ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moody() -> Iterator[Kafka]:
    """A broker that these tests may stall and kill; each leaves it running."""
    with ExitStack() as stack:
        yield stack.enter_context(made(Kafka)).start().wait()


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is written past the log: nobody can parse what libraries print, and it comes by the thousand."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("silent")
async def test_a_broker_that_is_away_is_no_error_until_something_is_delivered(make: Callable[..., Engine]) -> None:
    """The collector starts while Kafka does not; what comes meanwhile is spooled, not lost and not waited for."""
    async with opened(make(f"127.0.0.1:{free_port()}", delivery_timeout="2s")) as one:
        troubles, failures = await asyncio.gather(one.look_up(["events"]), one.deliver([message("events", 0)]))

    assert [trouble.verdict for trouble in troubles] == [Verdict.LATER]
    assert [(failure.row, failure.verdict) for failure in failures] == [(0, Verdict.LATER)]
    assert failures[0].reason


async def test_a_stalled_broker_ends_deliveries_and_its_return_begins_new_ones(
    make: Callable[..., Engine], moody: Kafka
) -> None:
    """A write that never ends would hold its batch, and Windows, for ever; a wedged producer would be worse."""
    topic = make_topic(moody.bootstrap)
    async with opened(make(moody.bootstrap, delivery_timeout="2s")) as one:
        assert list(await one.deliver(messages(topic, 0, 10))) == []
        moody.stall()
        try:
            failures = await one.deliver(messages(topic, 10, 20))
        finally:
            moody.resume()
        again = await until_stored(one, messages(topic, 20, 30))

    assert verdicts(failures) == {Verdict.LATER}
    assert len(failures) == 10
    assert again == []
    stored = {each.value for each in read_log(moody.bootstrap, topic)}
    assert {each.value for each in [*messages(topic, 0, 10), *messages(topic, 20, 30)]} <= stored


async def until_stored(one: Engine, sent: Sequence[Message]) -> list[Failure]:
    """Deliver until it succeeds, as a lane does, a few times at most; the last failures."""
    for _ in range(10):
        failures = await one.deliver(sent)
        if not failures:
            break
    return list(failures)


async def test_a_broker_that_is_killed_in_the_middle_gets_everything_after_its_restart(moody: Kafka) -> None:
    """Within the delivery time-out an outage is the library's business: nobody offers anything twice.

    One restart serves all engines.
    """
    topics = {kind: make_topic(moody.bootstrap) for kind in ENGINES}
    sent = {kind: messages(topic, 0, 400, keys=7) for kind, topic in topics.items()}
    begun: dict[str, Engine] = {}
    async with AsyncExitStack() as stack:
        for kind in ENGINES:
            one = await stack.enter_async_context(opened(engine(kind, moody.bootstrap, delivery_timeout="60s")))
            assert list(await one.deliver(sent[kind][:100])) == []
            begun[kind] = one
        moody.kill()
        waiting = [
            asyncio.create_task(begun[kind].deliver(sent[kind][n : n + 100]))
            for kind in ENGINES
            for n in (100, 200, 300)
        ]
        await asyncio.to_thread(lambda: moody.start().wait())
        done = await asyncio.gather(*waiting)

    assert [list(failures) for failures in done] == [[]] * len(done)
    for kind in ENGINES:
        expected = orders([as_stored(each, 0) for each in sent[kind]])
        stored = orders(read_log(moody.bootstrap, topics[kind]))
        assert {key: list(dict.fromkeys(values)) for key, values in stored.items()} == expected


async def test_closing_ends_what_a_stalled_broker_keeps_waiting(make: Callable[..., Engine], moody: Kafka) -> None:
    """SIGTERM must not wait for a broker; what was not confirmed is the lane's again."""
    topic = make_topic(moody.bootstrap)
    one = make(moody.bootstrap, delivery_timeout="60s")
    await one.open()
    assert list(await one.deliver(messages(topic, 0, 10))) == []
    moody.stall()
    try:
        waiting = asyncio.create_task(one.deliver(messages(topic, 10, 20)))
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await one.close()
            failures = await waiting
    finally:
        moody.resume()

    assert [failure.row for failure in failures] == list(range(10))
    assert verdicts(failures) == {Verdict.LATER}


CHILD = """
import asyncio, gc, sys
from pathlib import Path
from tests.contracts.kafka_engines import engine, message

async def main():
    one = engine(sys.argv[1], sys.argv[2], delivery_timeout="1s")
    await one.open()
    for _ in range(2):
        batches = [[message("events", n, value=b"%06d" % n * 2000) for n in range(2000)] for _ in range(5)]
        done = await asyncio.gather(*(one.deliver(batch) for batch in batches))
        assert {len(failures) for failures in done} == {2000}
        del batches
        gc.collect()
        print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096, flush=True)
    await one.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ENGINES)
def test_memory_is_bounded_by_what_was_handed_over(kind: str) -> None:
    """The sink bounds what is under way; a library that keeps what was given up would grow for a whole outage.

    Twice 10,000 records of 12 KB (114 MiB) that no broker hears of, in a process of its own.
    """
    child = subprocess.run(
        [sys.executable, "-c", CHILD, kind, f"127.0.0.1:{free_port()}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip

    first, second = (int(line) for line in child.stdout.split())
    assert second - first < 64 * 2**20
    assert child.stderr == ""


# A broker with doors -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure() -> Iterator[SecureKafka]:
    """TLS, SASL and rights: ``User:wef`` may write where the name begins with OURS."""
    with ExitStack() as stack:
        broker = stack.enter_context(made(SecureKafka)).start().wait()
        allow_writing(broker.bootstrap, "User:wef", OURS)
        yield broker


def scram(broker: SecureKafka, **other: str) -> dict[str, Any]:
    return {
        "security": "sasl_ssl",
        "sasl": "SCRAM-SHA-512",
        "username": broker.user,
        "password": broker.scram_password,
        "ca": str(broker.ca),
        **other,
    }


@pytest.mark.parametrize("door", ["ssl", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "sasl_plaintext"])
async def test_every_door_opens_to_who_has_the_key(make: Callable[..., Engine], secure: SecureKafka, door: str) -> None:
    """Each is a word of the contract; a secured cluster is the usual one."""
    topic = make_topic(secure.bootstrap, prefix=OURS)
    address, settings = door_of(secure, door)

    async with opened(make(address, **settings)) as one:
        assert list(await one.look_up([topic])) == []
        assert list(await one.deliver([message(topic, 0)])) == []

    assert [each.value for each in read_log(secure.bootstrap, topic)] == [b'{"n":0}']


def door_of(broker: SecureKafka, door: str) -> tuple[str, dict[str, Any]]:
    if door == "ssl":
        pair = {"certificate": str(broker.client_certificate), "private_key": str(broker.client_key)}
        return broker.ssl, {"security": "ssl", "ca": str(broker.ca), **pair}
    if door == "PLAIN":
        return broker.sasl_ssl, scram(broker, sasl="PLAIN", password=broker.plain_password)
    if door == "sasl_plaintext":
        settings = scram(broker, security="sasl_plaintext")
        settings.pop("ca")
        return broker.sasl_plaintext, settings
    return broker.sasl_ssl, scram(broker, sasl=door)


async def test_a_topic_that_is_not_ours_asks_for_a_person(make: Callable[..., Engine], secure: SecureKafka) -> None:
    """Waiting does not give rights; the lane must raise the alarm."""
    topic = make_topic(secure.bootstrap)

    async with opened(make(secure.sasl_ssl, **scram(secure))) as one:
        troubles = await one.look_up([topic])
        failures = await one.deliver([message(topic, 0)])

    assert [trouble.verdict for trouble in troubles] == [Verdict.BLOCKED]
    assert verdicts(failures) == {Verdict.BLOCKED}
    assert "uthoriz" in failures[0].reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"password": "not-this"}, "uthenticat"), ({"ca": "stranger"}, "certificate verify failed")],
    ids=["password", "authority"],
)
@pytest.mark.usefixtures("silent")
async def test_wrong_credentials_say_what_is_wrong(
    make: Callable[..., Engine], secure: SecureKafka, wrong: dict[str, str], said: str
) -> None:
    """Both look like an outage to the library; whoever reads the alarm must know which of them to mend."""
    told = {name: str(secure.stranger_ca) if name == "ca" else value for name, value in wrong.items()}

    async with opened(make(secure.sasl_ssl, delivery_timeout="2s", **scram(secure, **told))) as one:
        troubles = await one.look_up(["events"])
        failures = await one.deliver([message("events", 0)])

    assert [(trouble.topic, trouble.verdict) for trouble in troubles] == [("events", Verdict.BLOCKED)]
    assert said.lower() in troubles[0].reason.lower()
    # kafka-python loses the broker's answer now and then; the sink looks up again before it delivers again
    assert [failure.row for failure in failures] == [0]
    assert verdicts(failures) < {Verdict.BLOCKED, Verdict.LATER}
    assert all("not-this" not in reason for reason in (troubles[0].reason, failures[0].reason))
