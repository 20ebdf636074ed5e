-- Whole documents for a page of films, in one statement and so in one snapshot.
-- The text is assembled here: keys in this order, no white space, lists distinct and ordered by
-- name in the "C" collation (persons of one name by id), so equal content gives equal bytes.
-- checksum is the first 64 bits of md5 over that text. Persons and genres without a name have
-- nothing to show and are left out; roles other than the three take no part. Names become text
-- first: two spellings of a citext column are two names.
-- What makes it fast:
-- * Each list is made per role first and then put beside the others: cheaper than six aggregates
--   over one group, each with a filter and an order of its own.
-- * ORDER BY film.id makes the planner compute a text once, not once to send it and once for its
--   checksum. It also lets the planner merge what is grouped by film: the first documents of a
--   large page come early, and no list waits in a hash table.
-- * IS TRUE keeps the role a filter. As a condition of the unique index (film, person, role) it
--   would cost three searches per film instead of one.
-- Names: schema.
-- Parameters: ids (film ids).
-- Returns: id, document (JSON in UTF-8, as it is sent), one row per film that exists; by id as a
-- rule, but nothing may rely on it.
WITH film AS (
    SELECT id, title, description, rating
    FROM {schema}.film_work
    WHERE id = ANY(%(ids)s)
),

cast_member AS (
    SELECT DISTINCT
        link.film_work_id,
        link.role::text AS role,
        person.full_name::text COLLATE "C" AS name,
        person.id
    FROM {schema}.person_film_work AS link
    JOIN {schema}.person ON person.id = link.person_id
    WHERE link.film_work_id = ANY(%(ids)s)
        AND (link.role::text IN ('director', 'actor', 'writer')) IS TRUE
        AND person.full_name IS NOT NULL
),

by_role AS (
    SELECT
        film_work_id,
        role,
        string_agg(to_json(name)::text, ',' ORDER BY name, id) AS names,
        string_agg(
            '{"id":' || to_json(id::text)::text || ',"name":' || to_json(name)::text || '}',
            ',' ORDER BY name, id
        ) AS persons
    FROM cast_member
    GROUP BY film_work_id, role
),

people AS (
    SELECT
        film_work_id,
        max(names) FILTER (WHERE role = 'director') AS directors_names,
        max(names) FILTER (WHERE role = 'actor') AS actors_names,
        max(names) FILTER (WHERE role = 'writer') AS writers_names,
        max(persons) FILTER (WHERE role = 'director') AS directors,
        max(persons) FILTER (WHERE role = 'actor') AS actors,
        max(persons) FILTER (WHERE role = 'writer') AS writers
    FROM by_role
    GROUP BY film_work_id
),

genres AS (
    SELECT
        distinct_name.film_work_id,
        string_agg(to_json(distinct_name.name)::text, ',' ORDER BY distinct_name.name) AS names
    FROM (
        SELECT DISTINCT link.film_work_id, genre.name::text COLLATE "C" AS name
        FROM {schema}.genre_film_work AS link
        JOIN {schema}.genre ON genre.id = link.genre_id
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
        || '],"title":' || coalesce(to_json(film.title::text)::text, 'null')
        || ',"description":' || coalesce(to_json(film.description::text)::text, 'null')
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
    ORDER BY film.id
)

SELECT
    id,
    convert_to(
        body || ',"checksum":' || ('x' || left(md5(body), 16))::bit(64)::bigint::text || '}', 'UTF8'
    ) AS document
FROM assembled
