"""Typed settings: what may be written into collector.toml, and sentences about what may not."""
