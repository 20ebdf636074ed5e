-- The documents of rows that were written by a transaction at or above a ceiling, one page.
-- Names: schema, table, root (the column of the document's id).
-- Parameters: ceiling (a transaction as text, xid), after_root (exclusive; NULL: none), page_size.
-- Order: root.
-- Returns: root (a document's id).
SELECT found.root::text AS root
FROM (
    SELECT DISTINCT feed.{root} AS root
    FROM {schema}.{table} AS feed
    WHERE age(feed.xmin) BETWEEN 0 AND age(%(ceiling)s::xid)
        AND (feed.{root} > %(after_root)s OR (%(after_root)s IS NULL AND feed.{root} IS NOT NULL))
) AS found
ORDER BY found.root
LIMIT %(page_size)s
