-- A page of changed films in one row: what changed.sql returns row by row, for who
-- needs no more than the films and where the page ends. The index on (modified, id)
-- has all of it: in a table that is vacuumed no film is read.
-- Parameters: after_stamp, after_id (exclusive), upto_stamp, upto_id (inclusive),
-- page_size.
-- Returns: films (text[] in the order of modified, id; NULL: none) and the last
-- one's stamp (text as in changed.sql).
WITH page AS (
    SELECT
        id,
        modified
    FROM content.film_work
    WHERE (modified, id) > (%(after_stamp)s, %(after_id)s)
        AND (modified, id) <= (%(upto_stamp)s, %(upto_id)s)
    ORDER BY film_work.modified, film_work.id
    LIMIT %(page_size)s
)

SELECT
    array_agg(id::text ORDER BY modified, id) AS films,
    to_char(max(modified), 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp
FROM page
