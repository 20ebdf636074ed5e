-- The last row of a feed at or below a bound, in keyset order.
-- Names: schema, table, stamp.
-- Parameters: upto_stamp, upto_id (inclusive).
-- Returns: id, stamp (text in the column's own type); no row in an empty table.
SELECT
    feed.id::text AS id,
    to_char(feed.{stamp}, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp
FROM {schema}.{table} AS feed
WHERE (feed.{stamp}, feed.id) <= (%(upto_stamp)s, %(upto_id)s)
    AND feed.{stamp} > '0001-01-01'
ORDER BY feed.{stamp} DESC, feed.id DESC
LIMIT 1
