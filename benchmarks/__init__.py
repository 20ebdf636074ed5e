"""How fast the sync is, compared with what Elasticsearch alone can take: `make bench`."""
