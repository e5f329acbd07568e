"""What [sinks.NAME] of type "elasticsearch" may say; every mistake is a sentence, and no sentence holds a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config.load import load
from collector.errors import OperatorError
from collector.sinks.elasticsearch.clients import tls_context
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.table import SINKS

GOOD = 'hosts = ["https://search.corp.example:9200"]'


def read(folder: Path, *lines: str) -> ElasticsearchSettings:
    path = folder / "collector.toml"
    path.write_text("\n".join(["[sinks.search]", 'type = "elasticsearch"', *lines]))
    found = load(path, sinks={word: kind.settings for word, kind in SINKS.items()}, environ={}).sinks["search"]
    assert isinstance(found, ElasticsearchSettings)
    return found


def refusal(folder: Path, *lines: str) -> str:
    with pytest.raises(OperatorError) as raised:
        read(folder, *lines)
    return str(raised.value)


def test_the_example_of_the_contract_is_good(tmp_path: Path) -> None:
    """contract.md 1.2, word for word."""
    (tmp_path / "es.key").write_text("ZW5jb2RlZA==\n")

    found = read(
        tmp_path,
        'hosts = ["http://127.0.0.1:9200"]',
        'api_key = { file = "es.key" }',
        'data_stream = "logs-{dataset}-{namespace}"',
        'namespace = "default"',
    )

    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "ZW5jb2RlZA=="
    assert "ZW5" not in repr(found)


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Names, sizes and times as the README writes them."""
    found = read(
        tmp_path,
        'hosts = ["https://a.example:9200/es/", "https://b.example"]',
        'product = "opensearch"',
        'username = "collector"',
        'password = "secret"',
        'ca = "ca.pem"',
        'certificate = "me.pem"',
        'private_key = "me.key"',
        'data_stream = "winlogbeat-8.19.0"',
        'namespaces = { servers = "dmz" }',
        'datasets = { "Some-Vendor/Log" = "vendor.log" }',
        'bulk_size = "2MiB"',
        "bulk_records = 500",
        'bulk_time = "50ms"',
        "concurrency = 4",
        'request_timeout = "10s"',
        'compression = "gzip"',
        'max_document_size = "1MiB"',
    )

    assert found.ca == tmp_path / "ca.pem"
    assert (found.bulk_size, found.bulk_time) == (2 * 2**20, 0.05)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "hosts: this key is missing"),
        (["hosts = []"], "hosts: the list is empty"),
        (['hosts = ["search:9200"]'], "no address of http or https"),
        (['hosts = ["ftp://search"]'], "no address of http or https"),
        (['hosts = ["http://"]'], "no address of http or https"),
        (['hosts = ["http://search:99999"]'], "no address"),
        (['hosts = ["http://search:0"]'], "no address"),
        (['hosts = ["http://se arch"]'], "no address"),
        (['hosts = ["http://search/?pretty"]'], "more than an address"),
        (['hosts = ["http://a", "http://a/"]'], "twice"),
        ([GOOD, 'api_key = "a"', 'username = "b"', 'password = "c"'], "api_key: it stands beside"),
        ([GOOD, 'username = "b"'], "password: this key is missing"),
        ([GOOD, 'password = "b"'], "username: this key is missing"),
        ([GOOD, 'username = "a:b"', 'password = "b"'], "no user name"),
        ([GOOD, 'api_key = "a b"'], "api_key: it holds blanks"),
        ([GOOD, 'certificate = "a.pem"'], "private_key: this key is missing"),
        ([GOOD, 'private_key = "a.pem"'], "certificate: this key is missing"),
        (['hosts = ["http://a"]', 'ca = "a.pem"'], "ca: plain http does not use it"),
        ([GOOD, 'data_stream = "logs-{channel}"'], "there is no {channel}"),
        ([GOOD, 'data_stream = "Logs"'], "names no data stream"),
        ([GOOD, 'data_stream = "-logs"'], "names no data stream"),
        ([GOOD, 'data_stream = "logs-{dataset"'], "data_stream"),
        ([GOOD, 'data_stream = "logs-{dataset!r}"'], "data_stream"),
        ([GOOD, 'namespace = "a-b"'], "no part of a data stream"),
        ([GOOD, 'namespaces = { servers = "A" }'], "no part of a data stream"),
        ([GOOD, 'datasets = { x = "a/b" }'], "no part of a data stream"),
        ([GOOD, 'format = "raw"'], "format"),
        ([GOOD, 'drop_fields = ["@timestamp"]'], "drop_fields: a data stream refuses every document without"),
        ([GOOD, "concurrency = 0"], "concurrency"),
        ([GOOD, 'bulk_size = "200MiB"'], "bulk_size"),
        ([GOOD, 'host = "x"'], 'Did you mean "hosts"'),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, lines: list[str], words: str) -> None:
    """It names the key, what is wrong and what would be right."""
    assert words in refusal(tmp_path, *lines)


def test_capitals_in_an_address_are_no_way_around_our_certificates(tmp_path: Path) -> None:
    """RFC 3986 3.1: the scheme has no case. With "HTTPS:" the ca would be ignored, and the system's trusted."""
    (tmp_path / "ca.pem").write_text("no certificate")
    found = read(tmp_path, 'hosts = ["HTTPS://search"]', 'ca = "ca.pem"')

    with pytest.raises(OperatorError, match=r"ca\.pem cannot be used"):
        tls_context(found)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """Nobody wants to start ten times."""
    text = refusal(tmp_path, 'hosts = ["nothing", "http://a"]', 'username = "b"', 'ca = "a.pem"', 'certificate = "c"')

    assert "hosts" in text
    assert "password" in text
    assert "private_key" in text


@pytest.mark.parametrize("host", ["https://user:hunter2@search", "https://u:hunter2@search:port", "//u:hunter2@x"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, host: str) -> None:
    """Logs are read by more people than settings."""
    for line in (f'hosts = ["{host}"]', f'hosts = "{host}"', f'hosts = [["{host}"]]'):
        text = refusal(tmp_path, line)

        assert "hunter2" not in text
        assert "hosts" in text
