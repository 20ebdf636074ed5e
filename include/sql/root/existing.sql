-- Which of these root rows the catalogue has. Ids are compared as text: of a row that is gone it
-- is not even known that its id fits the column's type.
-- Names: schema, table.
-- Parameters: ids.
-- Returns: id.
SELECT root.id::text AS id
FROM {schema}.{table} AS root
WHERE root.id::text = ANY(%(ids)s)
