-- Whole documents for a page of films, in one statement and so in one snapshot.
-- The text is assembled here: keys in the order of movies_etl.documents.Movie, no
-- white space, lists distinct and ordered by name (persons by name and id) in the
-- "C" collation, so equal content gives equal bytes. checksum is the first 64
-- bits of md5 over that text. Persons and genres without a name have nothing
-- to show and are left out; roles other than the three take no part.
-- Parameters: ids (film ids).
-- Returns: id, document (JSON text), one row a film that exists, in no order.
WITH film AS (
    SELECT id, title, description, rating
    FROM content.film_work
    WHERE id = ANY(%(ids)s)
),

cast_member AS (
    SELECT DISTINCT
        link.film_work_id,
        link.role::text AS role,
        person.full_name COLLATE "C" AS name,
        person.id::text COLLATE "C" AS id
    FROM content.person_film_work AS link
    JOIN content.person ON person.id = link.person_id
    WHERE link.film_work_id = ANY(%(ids)s)
        AND link.role::text IN ('director', 'actor', 'writer')
        AND person.full_name IS NOT NULL
),

quoted AS (
    SELECT
        film_work_id,
        role,
        name,
        id,
        to_json(name)::text AS name_json,
        '{"id":' || to_json(id)::text || ',"name":' || to_json(name)::text || '}' AS person_json
    FROM cast_member
),

people AS (
    SELECT
        film_work_id,
        string_agg(name_json, ',' ORDER BY name, id) FILTER (WHERE role = 'director') AS directors_names,
        string_agg(name_json, ',' ORDER BY name, id) FILTER (WHERE role = 'actor') AS actors_names,
        string_agg(name_json, ',' ORDER BY name, id) FILTER (WHERE role = 'writer') AS writers_names,
        string_agg(person_json, ',' ORDER BY name, id) FILTER (WHERE role = 'director') AS directors,
        string_agg(person_json, ',' ORDER BY name, id) FILTER (WHERE role = 'actor') AS actors,
        string_agg(person_json, ',' ORDER BY name, id) FILTER (WHERE role = 'writer') AS writers
    FROM quoted
    GROUP BY film_work_id
),

genres AS (
    SELECT
        distinct_name.film_work_id,
        string_agg(to_json(distinct_name.name)::text, ',' ORDER BY distinct_name.name) AS names
    FROM (
        SELECT DISTINCT link.film_work_id, genre.name COLLATE "C" AS name
        FROM content.genre_film_work AS link
        JOIN content.genre ON genre.id = link.genre_id
        WHERE link.film_work_id = ANY(%(ids)s) AND genre.name IS NOT NULL
    ) AS distinct_name
    GROUP BY distinct_name.film_work_id
),

assembled AS (
    SELECT
        film.id::text AS id,
        '{"id":' || to_json(film.id::text)::text
        || ',"imdb_rating":' || coalesce(to_json(film.rating)::text, 'null')
        || ',"genres":[' || coalesce(genres.names, '')
        || '],"title":' || coalesce(to_json(film.title)::text, 'null')
        || ',"description":' || coalesce(to_json(film.description)::text, 'null')
        || ',"directors_names":[' || coalesce(people.directors_names, '')
        || '],"actors_names":[' || coalesce(people.actors_names, '')
        || '],"writers_names":[' || coalesce(people.writers_names, '')
        || '],"directors":[' || coalesce(people.directors, '')
        || '],"actors":[' || coalesce(people.actors, '')
        || '],"writers":[' || coalesce(people.writers, '')
        || ']' AS body
    FROM film
    LEFT JOIN people ON people.film_work_id = film.id
    LEFT JOIN genres ON genres.film_work_id = film.id
)

SELECT
    id,
    body || ',"checksum":' || ('x' || left(md5(body), 16))::bit(64)::bigint::text || '}' AS document
FROM assembled
