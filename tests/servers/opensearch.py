"""A real OpenSearch node of 2.19 with every module, in one process. It must not know the collector's sinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.distribution import fetched
from tests.servers.http_server import HttpServer
from tests.servers.server import FUNCTIONAL, free_port

NODE = Path(__file__).with_name("OpenSearchNode.java")


class OpenSearch(HttpServer):
    """One node on ``url``. *settings* are the node's own: ``OpenSearch({"http.max_content_length": "1mb"})``.

    It has what our Elasticsearch lacks (all processors, Painless, the data stream API), and not
    Elastic's dialect: no ``flattened``, no ``require_data_stream``, arrays of ``path_match`` are swallowed.
    """

    name = "opensearch"

    def __init__(
        self, settings: Mapping[str, object] | None = None, *, quick: bool = True, memory: str = "384m"
    ) -> None:
        self.distribution = fetched()
        super().__init__()
        self.settings: dict[str, object] = {
            "transport.port": free_port(),
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **(settings or {}),
        }
        self.java = [f"-Xms{memory}", f"-Xmx{memory}", *(FUNCTIONAL if quick else ())]

    def command(self) -> Sequence[str]:
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        node = [str(NODE), str(self.folder / "home"), str(self.port), *settings]
        return [self.distribution.java, *self.java, "-cp", f"{self.distribution.opensearch}/*", *node]
