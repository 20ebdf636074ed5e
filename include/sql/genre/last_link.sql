-- The last link of a film to a genre at or below a bound, in keyset order.
-- Parameters: upto_stamp, upto_id (inclusive).
-- Returns: id, stamp (text in the column's own type); no row in an empty table.
SELECT
    id::text AS id,
    to_char(created, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp
FROM content.genre_film_work
WHERE (created, id) <= (%(upto_stamp)s, %(upto_id)s)
    AND created > '0001-01-01'
ORDER BY genre_film_work.created DESC, genre_film_work.id DESC
LIMIT 1
