-- How many documents the index should have: the rows of the root table.
-- Names: schema, table.
-- Returns: rows.
SELECT count(*) AS rows FROM {schema}.{table}
