-- The documents that changed rows are linked to, one page. The lateral read takes at most a page
-- of links from the index for each changed row, so a page costs the same wherever it lies in a
-- row that is linked to a third of the catalogue. It counts documents, not links: a document that
-- is linked twice must not push another off the page.
-- Names: schema, table (of the changed rows), link (the link table), key (its column of the
-- changed row's id), root (its column of the document's id).
-- Parameters: ids (of changed rows), after_root (exclusive; NULL: none),
-- page_size.
-- Order: root.
-- Returns: root (a document's id).
SELECT root::text AS root
FROM (
    SELECT DISTINCT linked.root
    FROM {schema}.{table} AS changed
    CROSS JOIN LATERAL (
        SELECT DISTINCT link.{root} AS root
        FROM {schema}.{link} AS link
        WHERE link.{key} = changed.id AND (link.{root} > %(after_root)s OR %(after_root)s IS NULL)
        ORDER BY link.{root}
        LIMIT %(page_size)s
    ) AS linked
    WHERE changed.id = ANY(%(ids)s)
) AS found
ORDER BY found.root
LIMIT %(page_size)s
