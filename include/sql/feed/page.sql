-- Changed rows of a feed, one keyset page: a row comparison, because thousands of rows may share
-- one stamp. A row whose stamp is NULL, infinite or in the year 1 or before is not here.
-- Names: schema, table, stamp (the cursor column), root (the column of the document's id, or NULL).
-- Parameters: after_stamp, after_id (exclusive), upto_stamp, upto_id (inclusive),
-- page_size (NULL: all).
-- Order: stamp, id.
-- Returns: id, stamp (text in the column's own type, six fractional digits),
-- xmin (the row version's transaction), root (the document's id; NULL: see fan_out.sql).
SELECT
    feed.id::text AS id,
    to_char(feed.{stamp}, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp,
    feed.xmin::text AS xmin,
    {root}::text AS root
FROM {schema}.{table} AS feed
WHERE (feed.{stamp}, feed.id) > (%(after_stamp)s, %(after_id)s)
    AND (feed.{stamp}, feed.id) <= (%(upto_stamp)s, %(upto_id)s)
ORDER BY feed.{stamp}, feed.id
LIMIT %(page_size)s
