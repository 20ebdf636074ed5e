-- Whether a table has rows without id; asked only where the id may be NULL.
-- Names: schema, table.
-- Returns: found.
SELECT exists(
    SELECT 1 FROM {schema}.{table}
    WHERE id IS NULL
) AS found
