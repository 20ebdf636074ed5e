-- How many films the catalogue has.
-- Returns: films.
SELECT count(*) AS films FROM content.film_work
