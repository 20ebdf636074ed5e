-- Which of these root rows the catalogue has.
-- Names: schema, table.
-- Parameters: ids (of the column's type).
-- Returns: id.
SELECT root.id::text AS id
FROM {schema}.{table} AS root
WHERE root.id = ANY(%(ids)s)
