"""The event query language of Windows: parse, check, evaluate against events. Pure: text in, answers out."""
