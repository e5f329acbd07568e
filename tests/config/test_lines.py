"""Problems of a TOML file are reported with the line that people have to look at."""

from __future__ import annotations

from collector.config.lines import line_of

FILE = """\
name = "one"
query = '''
[delivery]
heartbeat = "this is text, no key"
'''
[delivery]   # a comment
heartbeat = "15m"

[[select]]
channel = "Security"
[[select]]
channel = "System"
query = "*"
[a.b]
"c" = 1
"""


def test_a_key_is_found_in_its_table() -> None:
    """Two tables may have keys of one name."""
    assert line_of(FILE, ("name",)) == 1
    assert line_of(FILE, ("delivery", "heartbeat")) == 7
    assert line_of(FILE, ("a", "b", "c")) == 15


def test_tables_of_a_list_are_counted() -> None:
    """The second select is the broken one."""
    assert line_of(FILE, ("select", 0, "channel")) == 10
    assert line_of(FILE, ("select", 1, "channel")) == 12


def test_a_key_that_is_missing_points_to_its_table() -> None:
    """Better the right paragraph than nothing."""
    assert line_of(FILE, ("delivery", "retries")) == 6
    assert line_of(FILE, ("nothing", "here")) is None
