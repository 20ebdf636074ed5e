-- A page of changed rows in one row: what page.sql returns row by row, for callers that need only
-- the ids and the last position. The index on the stamp and the id has all of it: in a table that
-- is vacuumed no row is read.
-- Names: schema, table, stamp.
-- Parameters: after_stamp, after_id (exclusive), upto_stamp, upto_id (inclusive),
-- page_size.
-- Returns: ids (text[] in the order of stamp, id; NULL: none) and the last one's
-- stamp (text as in page.sql).
WITH page AS (
    SELECT
        feed.id,
        feed.{stamp} AS stamp
    FROM {schema}.{table} AS feed
    WHERE (feed.{stamp}, feed.id) > (%(after_stamp)s, %(after_id)s)
        AND (feed.{stamp}, feed.id) <= (%(upto_stamp)s, %(upto_id)s)
    ORDER BY feed.{stamp}, feed.id
    LIMIT %(page_size)s
)

SELECT
    array_agg(id::text ORDER BY stamp, id) AS ids,
    to_char(max(stamp), 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp
FROM page
