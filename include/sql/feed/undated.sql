-- Rows of a feed that no position in time can reach: the stamp is NULL, infinite, or in the year 1
-- or before (which PostgreSQL finds by the index on the stamp and the id).
-- Names: schema, table, stamp, root (the column of the document's id, or NULL).
-- Parameters: after_id (exclusive; NULL: none), page_size.
-- Order: id.
-- Returns: as page.sql; stamp is NULL.
SELECT
    feed.id::text AS id,
    NULL AS stamp,
    feed.xmin::text AS xmin,
    {root}::text AS root
FROM {schema}.{table} AS feed
WHERE (feed.{stamp} IS NULL OR feed.{stamp} = 'infinity' OR feed.{stamp} <= '0001-01-01')
    AND (feed.id > %(after_id)s OR %(after_id)s IS NULL)
ORDER BY feed.id
LIMIT %(page_size)s
