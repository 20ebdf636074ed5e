-- Films that no position in time can reach: modified is NULL, infinite, or in
-- the year 1 or before (which PostgreSQL finds by the index on (modified, id)).
-- Parameters: after_id (exclusive; NULL: none), page_size.
-- Order: id.
-- Returns: as changed.sql; stamp is NULL.
SELECT
    id::text AS id,
    NULL AS stamp,
    xmin::text AS xmin,
    id::text AS film
FROM content.film_work
WHERE (modified IS NULL OR modified = 'infinity' OR modified <= '0001-01-01')
    AND (id > %(after_id)s OR %(after_id)s IS NULL)
ORDER BY film_work.id
LIMIT %(page_size)s
