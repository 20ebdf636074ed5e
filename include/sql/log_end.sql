-- Where the primary's log (WAL) ends: what is visible in it is written below this place, whether it
-- is flushed or not. Directly behind the header of a page nothing of that page is written yet, and a
-- standby that has replayed everything stands before the header: so does this place. (A header has
-- 40 bytes in the first page of a segment, and 24 in the others.)
-- Returns: timeline (of what is written), place (bytes since the beginning, numeric).
WITH written AS (
    SELECT
        pg_walfile_name(pg_current_wal_insert_lsn()) AS segment,
        pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS place,
        pg_size_bytes(current_setting('wal_segment_size')) AS segment_size,
        current_setting('wal_block_size')::int AS page_size
)

SELECT
    ('x' || left(segment, 8))::bit(32)::int AS timeline,
    CASE
        WHEN mod(place, segment_size) = 40 THEN place - 40
        WHEN mod(place, page_size) = 24 THEN place - 24
        ELSE place
    END AS place
FROM written
