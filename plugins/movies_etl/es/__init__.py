"""The index: how Elasticsearch is written and asked. Knows nothing of PostgreSQL."""
