"""One file per sink; ``base`` is the promise that all of them keep. Sinks do not know each other."""
