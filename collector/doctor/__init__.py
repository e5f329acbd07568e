"""Looks at hosts, keytabs, certificates, policies and error codes, and says what to do. It changes nothing."""
