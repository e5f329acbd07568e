"""The collector's own state: bookmarks, sources, lanes and letters. Knows no network and no event document."""
