"""The Elasticsearch sink (and OpenSearch by its own mode): bulks into data streams, and the fate of every item."""
