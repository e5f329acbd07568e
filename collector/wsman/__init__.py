"""WS-Management and WS-Eventing as a sans-I/O protocol, for both roles.

Bytes become text (``payload``), text becomes messages (``reader``), messages become
text again (``writer``). Nothing in this room opens a socket, reads a clock, writes a
log or touches a file; what it notices comes back in the values it returns.
"""
