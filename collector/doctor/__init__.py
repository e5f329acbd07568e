"""Looks at hosts, keytabs, certificates and error codes, and says what to do.

Every file answers with ``Finding`` values and prints nothing. What is looked at comes in as values or through small
promises, so that each finding can be provoked; only ``probes`` and ``tickets`` touch the network.
"""
