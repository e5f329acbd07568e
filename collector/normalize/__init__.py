"""Events become documents here, purely and totally: a bad event becomes a poorer one, never an error.

The room knows no socket, clock, sink or format; its rules are TOML beside the code.
"""

from collector.normalize.document import Options
from collector.normalize.gathering import FLAWS, Harvest, event_id, harvest
from collector.normalize.reaping import Block, lines, wrap
from collector.normalize.tables import Rules, default_rules

__all__ = ["FLAWS", "Block", "Harvest", "Options", "Rules", "default_rules", "event_id", "harvest", "lines", "wrap"]
