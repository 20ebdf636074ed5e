-- Root rows whose title or name has all of these words, the shortest first: a whole title comes
-- before a longer one that contains it.
-- Names: schema, table, text (the column of the title or name).
-- Parameters: patterns (text[], for ILIKE), page_size.
-- Order: length of text, id.
-- Returns: id, label.
SELECT
    root.id::text AS id,
    root.{text}::text AS label
FROM {schema}.{table} AS root
WHERE root.{text}::text ILIKE ALL(%(patterns)s::text[])
ORDER BY length(root.{text}::text), root.id
LIMIT %(page_size)s
