"""One question, one answer in JSON: how ``wef setup`` talks to a cluster, whatever product it is.

It tries every host, and turns silence and refusals into the exit codes of contract.md 6. It knows the sink's
client and no template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from collector.errors import OperatorError
from collector.sinks.elasticsearch.clients import Client, NoAnswer, Reply

UNREACHABLE, NOT_PERMITTED, CONFIGURATION = 69, 77, 78
PRIVILEGES = "monitor, manage_index_templates, manage_ilm (for a policy), view_index_metadata and manage on the streams"
"""What a full run of setup asks of Elasticsearch's security; the sink itself needs less."""


@dataclass(frozen=True, slots=True)
class Answer:
    """*body*: the parsed JSON, None when there is none. What stands in it is the server's, so unchecked."""

    status: int
    body: Any = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def table(self) -> Mapping[str, Any]:
        """The body, when it is an object; else an empty one."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def reason(self) -> str:
        """Why the server will not, in its own words, the deepest cause last; at most 300 characters."""
        error, words = self.table.get("error"), []
        for _ in range(5):
            if not isinstance(error, dict):
                break
            words.append(str(error.get("reason") or error.get("type") or ""))
            error = error.get("caused_by")
        if isinstance(error, str):
            words.append(error)
        return f"{self.status} {': '.join(word for word in words if word)}".strip()[:300]


class Cluster:
    """A client with patience for every host, and sentences for people."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """The answer, unless it is 401 or 403. Raises ``OperatorError``: 69 nobody answers, 77, 78 wrong product."""
        answer = await self.try_to_ask(method, path, body)
        if answer.status in (401, 403):
            raise OperatorError(
                f"sinks.{self._name}: {method} {path} is not permitted ({answer.reason});"
                f" the credentials need {PRIVILEGES}.",
                exit_code=NOT_PERMITTED,
            )
        return answer

    async def try_to_ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """The answer, whatever its status."""
        reply = await self._send(method, path, None if body is None else orjson.dumps(body))
        try:
            return Answer(reply.status, orjson.loads(reply.body))
        except orjson.JSONDecodeError:
            return Answer(reply.status)  # a proxy's page, or nothing; the status says enough

    async def close(self) -> None:
        await self._client.close()

    async def _send(self, method: str, path: str, body: bytes | None) -> Reply:
        troubles: list[str] = []
        for _ in range(self._client.hosts):
            try:
                return await self._client.request(method, path, body)
            except NoAnswer as error:
                if error.blocked:
                    raise OperatorError(f"sinks.{self._name}: {error}.", exit_code=CONFIGURATION) from error
                troubles.append(f"sinks.{self._name}: {error}.")
        raise OperatorError(*troubles, exit_code=UNREACHABLE)
