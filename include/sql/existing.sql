-- Which of these films the catalogue has. Ids are compared as text: of a film that is gone it
-- is not even known that its id fits the column's type.
-- Parameters: ids.
-- Returns: film.
SELECT film_work.id::text AS film
FROM content.film_work
WHERE film_work.id::text = ANY(%(ids)s)
