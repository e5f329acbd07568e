"""The Kafka sink: what it sends, how it sends it, and what it does when a broker says no."""
