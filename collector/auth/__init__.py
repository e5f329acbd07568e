"""Who is calling: proofs in, verdicts out. This room knows no HTTP library and no WS-Man message."""
