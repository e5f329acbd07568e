"""What the collector must remember: bookmarks, sources, lanes, dead letters."""
