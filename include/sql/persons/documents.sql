-- Whole documents for a page of persons; see movies/documents.sql for the rules of the text.
-- Films by title and id, each with the person's roles in it in the order of their names. Films
-- without a title and roles other than the three take no part. A rating that is no number is left
-- out: it is refused with its film (movies), and must not be with everybody in the film.
-- Names: schema.
-- Parameters: ids (person ids).
-- Returns: id, document (JSON in UTF-8, as it is sent), one row per person that exists.
WITH person AS (
    SELECT
        id,
        full_name
    FROM {schema}.person
    WHERE id = ANY(%(ids)s)
),

role AS (
    SELECT DISTINCT
        person_id,
        film_work_id,
        role::text COLLATE "C" AS name
    FROM {schema}.person_film_work
    WHERE person_id = ANY(%(ids)s)
        AND (role::text IN ('director', 'actor', 'writer')) IS TRUE
),

roles AS (
    SELECT
        person_id,
        film_work_id,
        string_agg(to_json(name)::text, ',' ORDER BY name) AS names
    FROM role
    GROUP BY person_id, film_work_id
),

films AS (
    SELECT
        roles.person_id,
        string_agg(
            '{"id":' || to_json(film.id::text)::text
            || ',"title":' || to_json(film.title::text)::text
            || ',"imdb_rating":' || CASE
                WHEN film.rating::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN to_json(film.rating)::text
                ELSE 'null'
            END
            || ',"roles":[' || roles.names || ']}',
            ',' ORDER BY film.title::text COLLATE "C", film.id
        ) AS list
    FROM roles
    JOIN {schema}.film_work AS film ON film.id = roles.film_work_id
    WHERE film.title IS NOT NULL
    GROUP BY roles.person_id
),

assembled AS (
    SELECT
        person.id::text AS id,
        '{"id":' || to_json(person.id::text)::text
        || ',"full_name":' || coalesce(to_json(person.full_name::text)::text, 'null')
        || ',"films":[' || coalesce(films.list, '')
        || ']' AS body
    FROM person
    LEFT JOIN films ON films.person_id = person.id
    ORDER BY person.id
)

SELECT
    id,
    convert_to(
        body || ',"checksum":' || ('x' || left(md5(body), 16))::bit(64)::bigint::text || '}', 'UTF8'
    ) AS document
FROM assembled
