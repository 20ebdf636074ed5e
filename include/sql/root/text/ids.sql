-- The ids of the root rows of a range, which are compared as text, by bytes.
-- Names: schema, table.
-- Parameters: first (inclusive), before (exclusive; NULL: no bound), page_size (NULL: all).
-- Order: id.
-- Returns: id.
SELECT root.id::text AS id
FROM {schema}.{table} AS root
WHERE root.id IS NOT NULL
    AND (root.id::text COLLATE "C" >= %(first)s OR %(first)s::text IS NULL)
    AND (root.id::text COLLATE "C" < %(before)s OR %(before)s::text IS NULL)
ORDER BY root.id::text COLLATE "C"
LIMIT %(page_size)s
