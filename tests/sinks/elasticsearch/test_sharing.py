"""Two sinks, one cluster: what they make there has to be the same, or apart."""

from __future__ import annotations

from typing import Any

import pytest

from collector.errors import OperatorError
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sharing import require_harmony


def sink(**written: Any) -> ElasticsearchSettings:
    return ElasticsearchSettings.model_validate({"hosts": ["http://es:9200"], **written})


@pytest.mark.parametrize(
    "other",
    [
        {"setup": {"retention": "7d"}},
        {"setup": {"retentions": {"system.security": "365d"}}},
        {"setup": {"fields": 5000}, "data_stream": "other-{dataset}-{namespace}"},
        {"datasets": {"Vendor/Log": "vendor.log"}},
        {"data_stream": "logs-{dataset}-fixed"},
    ],
)
def test_two_sinks_that_undo_each_other_are_refused(other: dict[str, Any]) -> None:
    """Setup would say "right" each time, and the retention of the last one would delete the other one's events."""
    with pytest.raises(OperatorError, match="sinks a and b make wef") as refused:
        require_harmony({"a": sink(), "b": sink(**other)})

    assert refused.value.exit_code == 78


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"namespace": "dmz", "exclude": {"event_id": [1]}},
        {"hosts": ["http://elsewhere:9200"], "setup": {"retention": "7d"}},
        {"data_stream": "other-{dataset}-{namespace}", "setup": {"retention": "7d"}},
        {"data_stream": "logs-x-{dataset}", "setup": {"prefix": "mine", "retention": "7d", "priority": 160}},
    ],
)
def test_two_sinks_that_agree_or_stand_apart_are_fine(other: dict[str, Any]) -> None:
    """One set of templates serves every namespace."""
    require_harmony({"a": sink(), "b": sink(**other)})
