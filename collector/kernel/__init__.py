"""The compiled hot path and its pure-Python twin: event XML to fields, SLDC to bytes.

Each module here answers with the same names whether it is compiled or not; today all of
them are pure. The room knows bytes and texts, no messages, no settings, no clock.
"""
