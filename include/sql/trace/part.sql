-- The documents of some parts, one page.
-- Names: schema, table (the root table), root (id), hash (a function of its type).
-- Parameters: numbers (of the parts, int[]), parts (how many there are), after_id (exclusive; NULL:
-- none), page_size.
-- Order: id.
-- Returns: id.
SELECT root.id::text AS id
FROM {schema}.{table} AS root
WHERE ({hash}(root.{root}, 0) & (%(parts)s - 1))::int = ANY(%(numbers)s::int[])
    AND (root.id > %(after_id)s OR %(after_id)s IS NULL)
ORDER BY root.id
LIMIT %(page_size)s
