-- The row versions of a feed above a position, and those that no position reaches, as two numbers:
-- while they stay the same nothing was added to them, changed or taken away.
-- Names: schema, table, stamp.
-- Parameters: after_stamp, after_id (exclusive), page_size (rows that no position reaches, at most).
-- Returns: rows, digest (text; NULL of no row).
SELECT
    count(*) AS rows,
    sum(hashtextextended(standing.id || ' ' || standing.xmin, 0)::numeric)::text AS digest
FROM (
    SELECT
        feed.id::text AS id,
        feed.xmin::text AS xmin
    FROM {schema}.{table} AS feed
    WHERE (feed.{stamp}, feed.id) > (%(after_stamp)s, %(after_id)s)
    UNION ALL
    (
        SELECT
            feed.id::text AS id,
            feed.xmin::text AS xmin
        FROM {schema}.{table} AS feed
        WHERE feed.{stamp} IS NULL OR feed.{stamp} <= '0001-01-01'
        ORDER BY feed.id
        LIMIT %(page_size)s
    )
) AS standing
