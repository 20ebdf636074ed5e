-- The documents with a link to a row that is not there, one page.
-- Names: schema, table (of the rows), link (the link table), key (its column of the row's id),
-- root (its column of the document's id).
-- Parameters: after_root (exclusive; NULL: none), page_size.
-- Order: root.
-- Returns: root (a document's id).
SELECT found.root::text AS root
FROM (
    SELECT DISTINCT link.{root} AS root
    FROM {schema}.{link} AS link
    WHERE link.{key} IS NOT NULL
        AND NOT EXISTS (
            SELECT
            FROM {schema}.{table} AS linked
            WHERE linked.id = link.{key}
        )
        AND (link.{root} > %(after_root)s OR (%(after_root)s IS NULL AND link.{root} IS NOT NULL))
) AS found
ORDER BY found.root
LIMIT %(page_size)s
