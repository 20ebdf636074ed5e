-- Films of changed persons, one page. The lateral read takes at most a page of
-- links from the index for each person, so a page costs the same wherever it
-- lies in a person that is linked to a third of the catalogue. It counts films,
-- not links: a film that is linked twice must not push another off the page.
-- Parameters: ids (of persons), after_film (exclusive; NULL: none),
-- page_size.
-- Order: film id.
-- Returns: film.
SELECT film::text AS film
FROM (
    SELECT DISTINCT link.film_work_id AS film
    FROM content.person
    CROSS JOIN LATERAL (
        SELECT DISTINCT film_work_id
        FROM content.person_film_work
        WHERE person_id = person.id AND (film_work_id > %(after_film)s OR %(after_film)s IS NULL)
        ORDER BY film_work_id
        LIMIT %(page_size)s
    ) AS link
    WHERE person.id = ANY(%(ids)s)
) AS linked
ORDER BY linked.film
LIMIT %(page_size)s
