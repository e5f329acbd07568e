"""``python -m tests.servers``: the tests' Kafka and Elasticsearch at their usual ports, until Ctrl-C.

To try ``wef demo --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200`` without a container engine
(with one: ``deploy/compose.yaml``, which has Kibana as well). Everything is forgotten at the end.
"""

from __future__ import annotations

import contextlib
import signal

from tests.servers.elasticsearch import Elasticsearch
from tests.servers.kafka import Kafka

KAFKA, ELASTICSEARCH = 9092, 9200


def at_usual_ports() -> tuple[Kafka, Elasticsearch]:
    """Both, not yet started."""
    kafka, elasticsearch = Kafka(), Elasticsearch()
    kafka.port, kafka.bootstrap = KAFKA, f"127.0.0.1:{KAFKA}"
    kafka.properties |= kafka._basics()
    elasticsearch.port = elasticsearch.settings["http.port"] = ELASTICSEARCH
    return kafka, elasticsearch


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka, elasticsearch = at_usual_ports()
    with contextlib.suppress(KeyboardInterrupt), kafka, elasticsearch:
        kafka.start()
        elasticsearch.start()
        kafka.wait()
        elasticsearch.wait().load_built_in_templates()
        print(f"Kafka is at {kafka.bootstrap}, Elasticsearch at {elasticsearch.url}. Ctrl-C ends both.", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
