"""The command line: one file per command. COMMANDS in ``main`` is the table."""
