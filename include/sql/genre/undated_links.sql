-- Links of films to genres that no position in time can reach: created is NULL, infinite, or in
-- the year 1 or before (which PostgreSQL finds by the index on (created, id)).
-- Parameters: after_id (exclusive; NULL: none), page_size.
-- Order: id.
-- Returns: id, stamp (NULL), xmin (the row version's transaction), film (the linked film).
SELECT
    id::text AS id,
    NULL AS stamp,
    xmin::text AS xmin,
    film_work_id::text AS film
FROM content.genre_film_work
WHERE (created IS NULL OR created = 'infinity' OR created <= '0001-01-01')
    AND (id > %(after_id)s OR %(after_id)s IS NULL)
ORDER BY genre_film_work.id
LIMIT %(page_size)s
