"""A bulk and its way: halves, other hosts, a few repetitions, and when to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import orjson
import pytest

from collector.clock import ManualClock
from collector.sinks.elasticsearch.asking import STRANGERS, TRIES, Asker, Line
from collector.sinks.elasticsearch.clients import Media, NoAnswer, Reply
from tests.sinks.elasticsearch.fake import error

Answer = Reply | NoAnswer | Callable[[list[int]], Reply]
"""To the rows of a bulk, by their numbers."""


class ScriptedClient:
    """Says what its script says, one step for each request; then that everything is stored."""

    def __init__(self, *script: Answer, hosts: int = 1) -> None:
        self.hosts = hosts
        self.script = deque(script)
        self.asked: list[list[int]] = []
        self.paths: list[str] = []

    async def request(self, method: str, path: str, body: bytes | None = None, media: Media = "json") -> Reply:
        assert (method, media) == ("POST", "x-ndjson")
        assert body is not None
        rows = [orjson.loads(line)["n"] for line in body.split(b"\n")[1::2]]
        self.asked.append(rows)
        self.paths.append(path)
        step = self.script.popleft() if self.script else stored
        if isinstance(step, NoAnswer):
            raise step
        return step if isinstance(step, Reply) else step(rows)

    async def close(self) -> None:
        """Nothing to let go of."""


def stored(rows: list[int]) -> Reply:
    return items({})(rows)


def items(special: dict[int, tuple[int, str]]) -> Callable[[list[int]], Reply]:
    """An answer in which some rows get a status and an error type, the others 201."""

    def answer(rows: list[int]) -> Reply:
        said = [
            {"status": special[row][0], "error": error(special[row][1])} if row in special else {"status": 201}
            for row in rows
        ]
        return Reply(200, orjson.dumps({"items": [{"create": result} for result in said]}), host="http://es")

    return answer


def refused(status: int, kind: str = "", reason: str = "", **headers: str) -> Reply:
    body = orjson.dumps({"error": error(kind, reason)}) if kind else b""
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, "http://es")


MALFORMED = refused(400, "x_content_parse_exception")
TOO_LARGE = refused(413)


class Played:
    """An asker with its pauses written down; time moves only by them."""

    def __init__(self, client: ScriptedClient, *, patience: float = 30.0) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.pauses: list[float] = []
        self.client = client
        self.asker = Asker("search", client, self.clock, self._pause, lambda: 0.5, patience=patience, streams_only=True)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)


def lines(count: int) -> list[Line]:
    return [(b'{"create":{}}\n{"n":%d}\n' % number, "logs-a-b") for number in range(count)]


def poisoned(*bad: int, answer: Reply = MALFORMED) -> Callable[[list[int]], Reply]:
    return lambda rows: answer if set(bad) & set(rows) else stored(rows)


def always(step: Answer) -> Sequence[Answer]:
    return [step] * 5000


async def test_one_busy_moment_does_not_reach_the_lane() -> None:
    """A single 429 would send everything through the spool; a full write queue is gone half a second later."""
    busy = items({1: (429, "es_rejected_execution_exception")})
    played = Played(ScriptedClient(busy))

    outcome = await played.asker.settle(lines(3))

    assert (outcome.kept, outcome.rejected) == ({}, {})
    assert played.client.asked == [[0, 1, 2], [1]]
    assert played.pauses == [0.5]


async def test_what_stays_busy_is_kept_and_its_neighbours_are_safe() -> None:
    """Three tries, then it is the lane's: it knows how to wait."""
    busy = items({0: (429, "es_rejected_execution_exception")})
    played = Played(ScriptedClient(*[busy] * TRIES))

    outcome = await played.asker.settle(lines(2))

    assert list(outcome.kept) == [0]
    assert not outcome.blocked
    assert len(played.client.asked) == TRIES


async def test_what_only_a_person_can_mend_is_asked_once() -> None:
    """Knocking at a locked door fills logs."""
    played = Played(ScriptedClient(items({0: (404, "index_not_found_exception")})))

    outcome = await played.asker.settle(lines(2))

    assert outcome.blocked
    assert len(played.client.asked) == 1


async def test_a_block_that_was_lifted_is_forgotten() -> None:
    """What holds is the last word."""
    played = Played(ScriptedClient(items({0: (503, "a")}), items({0: (400, "b")})))

    outcome = await played.asker.settle(lines(1))

    assert (outcome.kept, list(outcome.rejected)) == ({}, [0])


async def test_a_long_retry_after_is_handed_to_the_lane() -> None:
    """The lane's patience is five seconds; it has to know, not to wait here."""
    played = Played(ScriptedClient(refused(503, retry_after="120")))

    outcome = await played.asker.settle(lines(1))

    assert outcome.retry_after == 120
    assert played.pauses == []


async def test_a_short_retry_after_is_obeyed() -> None:
    """Whoever asks for two seconds gets two."""
    played = Played(ScriptedClient(refused(429, "es_rejected_execution_exception", retry_after="2")))

    assert (await played.asker.settle(lines(1))).kept == {}
    assert played.pauses == [2.0]


async def test_a_bulk_that_is_too_large_is_halved_until_it_fits_and_stays_smaller() -> None:
    """nginx lets one megabyte pass by default; nobody wants to send everything twice for ever."""
    client = ScriptedClient(*always(lambda rows: stored(rows) if len(rows) <= 2 else TOO_LARGE))
    played = Played(client)

    outcome = await played.asker.settle(lines(8))

    assert (outcome.kept, outcome.rejected) == ({}, {})
    assert [rows for rows in client.asked if len(rows) <= 2] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert played.asker.largest is not None
    assert played.asker.largest < sum(len(line) for line, _ in lines(8))


async def test_a_document_that_is_too_large_alone_is_a_letter() -> None:
    """No repetition makes it smaller."""
    played = Played(ScriptedClient(*always(poisoned(2, answer=TOO_LARGE))))

    outcome = await played.asker.settle(lines(5))

    assert list(outcome.rejected) == [2]
    assert outcome.rejected[2].startswith("413")


async def test_one_malformed_record_is_found_and_its_neighbours_are_stored() -> None:
    """Elasticsearch refuses the whole bulk for one bad line (servers.md 4.6)."""
    played = Played(ScriptedClient(*always(poisoned(5, 6))))

    outcome = await played.asker.settle(lines(16))

    assert sorted(outcome.rejected) == [5, 6]
    assert outcome.kept == {}


async def test_when_every_record_is_refused_no_record_is_at_fault() -> None:
    """Something in between answers 400 to everything: thousands of letters would be wrong, and slow."""
    played = Played(ScriptedClient(*always(MALFORMED)))

    outcome = await played.asker.settle(lines(1000))

    assert outcome.rejected == {}
    assert len(outcome.kept) == 1000
    assert outcome.blocked
    assert len(played.client.asked) < 10 * STRANGERS


async def test_small_bulks_are_one_search_together() -> None:
    """On a quiet day each bulk is one record: who answers 400 to everything would make a letter of each."""
    played = Played(ScriptedClient(*always(MALFORMED)))

    outcomes = [await played.asker.settle(lines(1)) for _ in range(100)]

    assert sum(len(outcome.rejected) for outcome in outcomes) < STRANGERS
    assert outcomes[-1].kept
    assert outcomes[-1].blocked


async def test_malformed_records_among_good_ones_never_stop_the_others() -> None:
    """The memory of small bulks ends with the first record that is taken."""
    played = Played(ScriptedClient(*always(poisoned(0))))

    alone = [await played.asker.settle(lines(1)) for _ in range(STRANGERS - 1)]
    together = await played.asker.settle(lines(4))

    assert [sorted(outcome.rejected) for outcome in (*alone, together)] == [[0]] * STRANGERS
    assert together.kept == {}


async def test_a_server_that_goes_away_among_the_halves_is_not_asked_for_the_rest() -> None:
    """Each half would wait for its own time-out."""
    played = Played(ScriptedClient(TOO_LARGE, NoAnswer("gone"), hosts=1), patience=0.0)

    outcome = await played.asker.settle(lines(8))

    assert sorted(outcome.kept) == list(range(8))
    assert len(played.client.asked) == 2


async def test_another_host_is_asked_before_anybody_waits() -> None:
    """That is what several hosts are for."""
    played = Played(ScriptedClient(NoAnswer("gone"), refused(503), hosts=3))

    outcome = await played.asker.settle(lines(2))

    assert outcome.kept == {}
    assert len(played.client.asked) == 3
    assert played.pauses == []


async def test_silence_of_all_hosts_is_not_asked_for_again_beyond_patience() -> None:
    """A write must end by itself."""
    client = ScriptedClient(*always(NoAnswer("gone")), hosts=2)
    played = Played(client, patience=0.1)

    outcome = await played.asker.settle(lines(1))

    assert outcome.kept == {0: "gone"}
    assert len(client.asked) == 2


async def test_a_server_without_the_parameter_gets_bulks_without_it() -> None:
    """require_data_stream is of 8.13; older ones refuse what they do not know."""
    unknown = refused(400, "illegal_argument_exception", "contains unrecognized parameter: [require_data_stream]")
    played = Played(ScriptedClient(unknown))

    assert (await played.asker.settle(lines(2))).kept == {}
    await played.asker.settle(lines(1))

    assert ["require_data_stream" in path for path in played.client.paths] == [True, False, False]


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b'{"items":[]}', b'{"errors":false,"items":[{"create":{'])
async def test_an_answer_that_answers_nothing_keeps_everything(body: bytes) -> None:
    """A captive portal says 200, too."""
    played = Played(ScriptedClient(*[Reply(200, body, host="http://es")] * TRIES))

    outcome = await played.asker.settle(lines(3))

    assert sorted(outcome.kept) == [0, 1, 2]
    assert outcome.rejected == {}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 406, 302])
async def test_a_refused_request_blocks_and_rejects_nothing(status: int) -> None:
    """A changed password must not turn a night's events into letters."""
    played = Played(ScriptedClient(refused(status)))

    outcome = await played.asker.settle(lines(3))

    assert (len(outcome.kept), outcome.blocked, outcome.rejected) == (3, True, {})
