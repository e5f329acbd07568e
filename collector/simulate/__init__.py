"""A pretend Windows fleet, shipped: the demo, a load generator, and the tests' far end.

It does what Windows does, not what our collector happens to like: the captured messages and the
specification are its model. It must know nothing of the collector's own corridor (delivery, routing,
sinks, store): the two meet on the wire only.
"""
