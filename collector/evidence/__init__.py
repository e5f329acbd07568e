"""What the collector knows about its sources besides their events: who is there, who is silent, what was lost."""
