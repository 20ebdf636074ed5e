-- The documents that are linked to rows which were written by a transaction at or above a ceiling,
-- one page.
-- Names: schema, table (of the rows), link (the link table), key (its column of the row's id),
-- root (its column of the document's id).
-- Parameters: ceiling (a transaction as text, xid), after_root (exclusive; NULL: none), page_size.
-- Order: root.
-- Returns: root (a document's id).
SELECT found.root::text AS root
FROM (
    SELECT DISTINCT link.{root} AS root
    FROM {schema}.{table} AS feed
    JOIN {schema}.{link} AS link ON link.{key} = feed.id
    WHERE age(feed.xmin) BETWEEN 0 AND age(%(ceiling)s::xid)
        AND (link.{root} > %(after_root)s OR (%(after_root)s IS NULL AND link.{root} IS NOT NULL))
) AS found
ORDER BY found.root
LIMIT %(page_size)s
