"""Settings that do not fit together are told all at once, before any broker is asked."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from collector.config.explain import explain
from collector.sinks.kafka.settings import KafkaSettings


def settings(**given: Any) -> KafkaSettings:
    return KafkaSettings.model_validate({"type": "kafka", "brokers": ["127.0.0.1:9092"], **given})


def problems(**given: Any) -> dict[str, str]:
    """The sentences, by the key that they are about."""
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    return {".".join(map(str, where)): sentence for where, sentence in explain(caught.value, KafkaSettings)}


def test_brokers_are_all_that_must_be_said() -> None:
    """The shortest stanza of the README works."""
    found = settings()

    assert (found.topic, found.key, found.compression, found.format) == (
        "windows-{dataset}",
        "computer",
        "zstd",
        "winlogbeat",
    )


@pytest.mark.parametrize("broker", ["kafka1", "kafka1:", "kafka1:0", "kafka1:70000", "http://kafka1:9092", ""])
def test_a_broker_without_a_port_is_refused(broker: str) -> None:
    """Client libraries would try for ever."""
    assert "is no broker" in problems(brokers=[broker])["brokers.0"]


def test_an_empty_list_of_brokers_is_refused() -> None:
    """There is nobody to ask."""
    assert problems(brokers=[])


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    """Who corrects one problem shall not find the next one only then."""
    found = problems(security="sasl_plaintext", sasl="PLAIN", ca="ca.pem", delivery_timeout="5s", request_timeout="10s")

    assert set(found) == {"username", "password", "ca", "delivery_timeout"}


def test_credentials_without_sasl_are_refused() -> None:
    """Somebody believes that they are used."""
    assert set(problems(username="wef", password="secret")) == {"username", "password"}


def test_sasl_needs_a_mechanism() -> None:
    """Guessing one would send a password where it was not meant to go."""
    assert "SCRAM" in problems(security="sasl_ssl")["sasl"]


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    """kafka-python shows it as a time-out."""
    found = problems(security="ssl", ca=str(tmp_path / "none.pem"))

    assert "no such file" in found["ca"]


def test_a_private_key_needs_its_certificate(tmp_path: Path) -> None:
    """Alone it proves nothing."""
    (tmp_path / "k").write_text("")

    assert set(problems(security="ssl", private_key=str(tmp_path / "k"))) == {"certificate"}


def test_librdkafka_cannot_do_kerberos() -> None:
    """Its wheel is built without GSSAPI."""
    assert "kafka-python" in problems(engine="librdkafka", security="sasl_plaintext", sasl="GSSAPI")["engine"]


def test_auto_takes_the_faster_engine_where_it_is_installed() -> None:
    """A fifth of the CPU, for who installed the extra."""
    installed = importlib.util.find_spec("confluent_kafka") is not None

    assert settings().engine_name == ("librdkafka" if installed else "kafka-python")
    assert settings(engine="kafka-python").engine_name == "kafka-python"


def test_no_password_is_ever_shown() -> None:
    """Settings are printed in bug reports."""
    found = settings(security="sasl_plaintext", sasl="PLAIN", username="wef", password="hush-hush")

    assert "hush-hush" not in repr(found)
