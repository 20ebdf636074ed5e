"""How fast the sync is, measured beside what Elasticsearch alone can take: `make bench`."""
