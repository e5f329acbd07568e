"""``python -m tests.servers``: the tests' Kafka and Elasticsearch at their usual ports, until Ctrl-C.

To try ``wef demo --kafka 127.0.0.1:9092 --elasticsearch http://127.0.0.1:9200`` without a container engine
(with one: ``deploy/compose.yaml``, which has Kibana as well). ``python -m tests.servers kdc FOLDER`` is a Kerberos
realm instead, to try a listener with Kerberos without a domain; it needs MIT's KDC and nothing of Python's but itself.
Everything is forgotten at the end; what the realm wrote into FOLDER stays, and is good for nothing any more.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
from pathlib import Path

KAFKA, ELASTICSEARCH = 9092, 9200
MACHINES = 20
"""Machine accounts of the realm: those that ``wef simulate --sources`` pretends to be, from the first on."""


def sinks() -> None:
    """Both, until Ctrl-C."""
    from tests.servers.elasticsearch import Elasticsearch
    from tests.servers.kafka import Kafka

    kafka, elasticsearch = Kafka(), Elasticsearch()
    kafka.port, kafka.bootstrap = KAFKA, f"127.0.0.1:{KAFKA}"
    kafka.properties |= kafka._basics()
    elasticsearch.port = elasticsearch.settings["http.port"] = ELASTICSEARCH
    with kafka, elasticsearch:
        kafka.start()
        elasticsearch.start()
        kafka.wait()
        elasticsearch.wait().load_built_in_templates()
        print(f"Kafka is at {kafka.bootstrap}, Elasticsearch at {elasticsearch.url}. Ctrl-C ends both.", flush=True)
        signal.pause()


def realm(folder: Path) -> None:
    """A KDC with a collector on localhost and its machines, until Ctrl-C; what they need is in *folder*."""
    from tests.servers.kdc import Kdc

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.keytab"):
        old.unlink()  # keys of another life of the realm
    with Kdc() as kdc:
        kdc.start().wait()
        kdc.add_many(["HTTP/localhost", "HOST/localhost"], folder.resolve() / "http.keytab")
        kdc.add_many([f"WS-{number:04}$" for number in range(1, MACHINES + 1)], folder.resolve() / "machines.keytab")
        shutil.copy(kdc.krb5_conf, folder / "krb5.conf")
        print(
            f"The realm {kdc.realm} answers until Ctrl-C. {folder} has krb5.conf, http.keytab (HTTP/localhost,"
            f" HOST/localhost) and machines.keytab (WS-0001$ to WS-{MACHINES:04}$).",
            flush=True,
        )
        signal.pause()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["sinks", "kdc"], default="sinks")
    parser.add_argument("folder", nargs="?", type=Path, help="kdc: where its files go")
    asked = parser.parse_args()
    if asked.what == "kdc" and asked.folder is None:
        parser.error("kdc needs a FOLDER for its files")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        if asked.what == "kdc":
            realm(asked.folder)
        else:
            sinks()


if __name__ == "__main__":
    main()
