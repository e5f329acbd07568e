"""The hot path, twice: event XML to fields and documents, SLDC to bytes.

The pure modules are the specification, the fallback and the oracle; where their compiled
twins (``_*.pyx``) were built, those do the work, and ``selection`` knows which. The room
knows bytes and texts, no messages, no settings, no clock.
"""
