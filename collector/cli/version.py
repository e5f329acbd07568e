"""``wef version``: what exactly is running here, for bug reports."""

from __future__ import annotations

import ctypes
import platform
import re
import sqlite3
import ssl
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

import click
from lxml import etree

from collector import __version__
from collector.cli.output import json_option, print_json
from collector.config.settings import SinkSettings
from collector.kernel import selection
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.kafka.settings import KafkaSettings

PACKAGES = ("aiohttp", "cryptography", "elasticsearch", "kafka-python", "lxml", "orjson", "pydantic", "zstandard")
"""Whose versions matter to how the collector behaves on the wire and on disk."""


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Print the versions of the collector, Python, the kernel and the engines."""
    row = {
        "version": __version__,
        "python": platform.python_version(),
        "kernel": selection.active(),
        "kernel_reason": selection.reason(),
        "engines": engines(),
        "platform": platform.platform(),
    }
    if as_json:
        print_json(row)
        return
    click.echo(f"wef-collector {row['version']}")
    click.echo(f"Python {row['python']} on {row['platform']}")
    click.echo(f"kernel {row['kernel']}" + (f" ({row['kernel_reason']})" if row["kernel_reason"] else ""))
    click.echo("engines " + ", ".join(f"{name} {text}" for name, text in engines().items()))


def engines() -> dict[str, str]:
    """The libraries that do the work, with their versions."""
    return {
        "openssl": ssl.OPENSSL_VERSION.split()[1],
        "sqlite": sqlite3.sqlite_version,
        "libxml2": ".".join(str(part) for part in etree.LIBXML_VERSION),
        **{name: installed(name) for name in PACKAGES},
        "librdkafka": librdkafka(),
        "gssapi": extra("gssapi"),
        "krb5": kerberos_library(),
    }


def librdkafka() -> str:
    """The version of the package that brings it, which has the same numbers; it is an extra."""
    return extra("confluent-kafka")


def extra(package: str) -> str:
    """The version of a package that only an extra brings."""
    try:
        return installed(package)
    except PackageNotFoundError:
        return "not installed"


def kerberos_library() -> str:
    """The version of MIT's libkrb5, which the package gssapi takes from the distribution."""
    try:
        ctypes.CDLL("libkrb5.so.3")
    except OSError:
        return "not installed"
    loaded = re.search(r"(/\S*/libkrb5\.so\.3\S*)", Path("/proc/self/maps").read_text())
    # no function tells it; MIT marks its libraries with a text of this form
    brand = re.search(rb"KRB5_BRAND: krb5-([\w.-]+)", Path(loaded[1]).read_bytes()) if loaded else None
    return brand[1].decode() if brand else "of an unknown version"


def engine_of(sink: SinkSettings) -> str:
    """The library that would carry the records of *sink*, with its version; ``""`` for sinks that need none."""
    if isinstance(sink, KafkaSettings):
        version = librdkafka() if sink.engine_name == "librdkafka" else installed("kafka-python")
        return f"{sink.engine_name} {version}"
    if isinstance(sink, ElasticsearchSettings):
        # Elastic's own client refuses to speak to OpenSearch
        library = "aiohttp" if sink.product == "opensearch" else "elasticsearch"
        return f"{library} {installed(library)}"
    return ""
