-- Whether a table has rows without id; asked only where the id may be NULL.
-- Names: schema, table.
-- Returns: found.
SELECT EXISTS (SELECT FROM {schema}.{table} WHERE id IS NULL) AS found
