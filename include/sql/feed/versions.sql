-- The row versions that rows of a feed have at present.
-- Names: schema, table.
-- Parameters: ids (of the column's type).
-- Returns: id, xmin (as in page.sql).
SELECT
    feed.id::text AS id,
    feed.xmin::text AS xmin
FROM {schema}.{table} AS feed
WHERE feed.id = ANY(%(ids)s)
