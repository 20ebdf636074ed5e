-- The ids of the root rows of a range. Uuids have the order of their texts.
-- Names: schema, table.
-- Parameters: first (inclusive), before (exclusive; NULL: no bound), page_size (NULL: all).
-- Order: id.
-- Returns: id.
SELECT root.id::text AS id
FROM {schema}.{table} AS root
WHERE root.id IS NOT NULL
    AND (root.id >= %(first)s::uuid OR %(first)s::uuid IS NULL)
    AND (root.id < %(before)s::uuid OR %(before)s::uuid IS NULL)
ORDER BY root.id
LIMIT %(page_size)s
