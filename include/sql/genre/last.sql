-- The last row of genre at or below a bound, in keyset order.
-- Parameters: upto_stamp, upto_id (inclusive).
-- Returns: id, stamp (text in the column's own type); no row in an empty table.
SELECT
    id::text AS id,
    to_char(modified, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp
FROM content.genre
WHERE (modified, id) <= (%(upto_stamp)s, %(upto_id)s)
    AND modified > '0001-01-01'
ORDER BY genre.modified DESC, genre.id DESC
LIMIT 1
