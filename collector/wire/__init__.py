"""The calling end of HTTP: one connection, whose it is, and what its bodies are sealed with. It knows no message."""
