"""One message in, one reply out, and the rule of when a batch may be acknowledged."""
