-- The values of a column that the last ANALYZE found often; no row is read.
-- Parameters: schema, table, field.
-- Returns: value (text).
SELECT value
FROM pg_stats
CROSS JOIN LATERAL unnest(most_common_vals::text::text[]) AS value
WHERE schemaname = %(schema)s AND tablename = %(table)s AND attname = %(field)s
