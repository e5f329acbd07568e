"""Harvest -> records, in the spelling that a sink wants. Pure: same harvest, same bytes.

A format is a file and a line in FORMATS. The room knows harvests; it knows no sink, no lane and
no clock, and reads no file.
"""

from collector.formats.records import Format
from collector.formats.table import FORMATS, spell

__all__ = ["FORMATS", "Format", "spell"]
