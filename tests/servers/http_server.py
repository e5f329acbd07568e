"""What Elasticsearch and OpenSearch share: one port that answers JSON, and a way to ask it.

The asking is for tests that prepare and look; it is the standard library, so that it shares nothing
with the clients under test.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.server import Server, free_port


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what came with it, whatever the status is."""

    status: int
    body: Any
    """Read from JSON; None when there was none."""


class Refused(Exception):
    """The server said something else than 2xx to a question that must succeed."""


class HttpServer(Server):
    """A server with a ``url``; ``user`` and ``password`` open it when they are set."""

    user = ""
    password = ""
    ca: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.ca else f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/_cluster/health", timeout=5).status == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: object = None, *, timeout: float = 30) -> Answer:
        """One request as the administrator. *body*: an object becomes JSON, bytes are lines for ``_bulk``."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        if self.user:
            headers["Authorization"] = f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        request = urllib.request.Request(self.url + path, data=content, headers=headers, method=method)
        trust = ssl.create_default_context(cafile=self.ca) if self.ca else None
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=trust) as reply:
                return Answer(reply.status, _read(reply.read()))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, _read(refusal.read()))

    def told(self, method: str, path: str, body: object = None) -> Any:
        """The body of the answer to a question that must succeed. Raises ``Refused``."""
        answer = self.ask(method, path, body)
        if not 200 <= answer.status < 300:
            raise Refused(f"{method} {path}: {answer.status} {json.dumps(answer.body)[:2000]}")
        return answer.body

    def documents(self, target: str, *, limit: int = 10_000) -> list[dict[str, Any]]:
        """Every hit (``_id``, ``_index``, ``_source``) of an index, a stream or a pattern, at most *limit*."""
        self.told("POST", f"/{target}/_refresh?ignore_unavailable=true")
        found = self.told("GET", f"/{target}/_search?ignore_unavailable=true&size={limit}")
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        return hits


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace") or None
