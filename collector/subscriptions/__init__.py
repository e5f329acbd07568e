"""Subscriptions as values: their files, who they are meant for, their version and revision."""
