"""The embedded event store: days of events in SQLite files, written by one thread, searched by anybody.

It stores what the format ``stored`` spells, and knows no sink, no lane and no message.
"""
