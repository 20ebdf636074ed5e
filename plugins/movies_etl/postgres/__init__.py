"""The catalogue: how PostgreSQL is read. Knows nothing of Elasticsearch."""
