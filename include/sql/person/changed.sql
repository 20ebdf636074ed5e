-- Changed persons, one keyset page: a row comparison, because thousands of rows may share one
-- stamp. A row whose stamp is NULL, infinite or in the year 1 or before is not here.
-- Parameters: after_stamp, after_id (exclusive), upto_stamp, upto_id (inclusive),
-- page_size (NULL: all).
-- Order: modified, id.
-- Returns: id, stamp (text in the column's own type, six fractional digits),
-- xmin (the row version's transaction), film (NULL: see films.sql).
SELECT
    id::text AS id,
    to_char(modified, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stamp,
    xmin::text AS xmin,
    NULL AS film
FROM content.person
WHERE (modified, id) > (%(after_stamp)s, %(after_id)s)
    AND (modified, id) <= (%(upto_stamp)s, %(upto_id)s)
ORDER BY person.modified, person.id
LIMIT %(page_size)s
