-- The first values of a column, in the order of their bytes.
-- Names: schema, table, field.
-- Returns: value (text; NULL is left out).
SELECT DISTINCT {field}::text COLLATE "C" AS value
FROM {schema}.{table}
WHERE {field} IS NOT NULL
ORDER BY value
LIMIT 10
