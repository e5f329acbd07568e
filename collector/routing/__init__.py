"""From a harvest to every sink that wants it, nothing lost on the way. Knows what sinks promise, and no sink."""
