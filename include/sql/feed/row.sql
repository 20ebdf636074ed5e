-- Rows of a feed by their ids: when each was changed, and whether a position has passed it.
-- Names: schema, table, stamp.
-- Parameters: ids (of the column's type), upto_stamp, upto_id (inclusive).
-- Returns: stamp (text as in page.sql; NULL: no position in time reaches the row), is_passed.
SELECT
    CASE
        WHEN isfinite(feed.{stamp}) AND feed.{stamp} > '0001-01-01'
            THEN to_char(feed.{stamp}, 'YYYY-MM-DD"T"HH24:MI:SS.US')
    END AS stamp,
    (feed.{stamp}, feed.id) <= (%(upto_stamp)s, %(upto_id)s) AS is_passed
FROM {schema}.{table} AS feed
WHERE feed.id = ANY(%(ids)s)
