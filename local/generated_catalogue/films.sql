-- One range of the films, with their links, and the persons of the same share.
-- Settings: catalogue.films (how many films there will be), catalogue.first (the
-- range's first number), catalogue.end (the number after its last).
INSERT INTO content.person (id, full_name, created, modified)
SELECT
    md5('person ' || person.n)::uuid,
    initcap(given.spelling) || ' ' || initcap(family.spelling),
    timestamptz '2015-01-01 00:00:00+00',
    timestamptz '2015-01-01 00:00:00+00' + pg_temp.chance(person.n, 3) * interval '3000 days'
FROM generate_series(
    current_setting('catalogue.first')::bigint / 2, current_setting('catalogue.end')::bigint / 2 - 1
) AS person (n)
JOIN word AS given ON given.n = 100 + floor(900 * pg_temp.chance(person.n, 4))::bigint
JOIN word AS family ON family.n = 1000 + floor(7000 * pg_temp.chance(person.n, 5))::bigint
ORDER BY person.n;

CREATE TEMPORARY TABLE film AS
SELECT
    n,
    md5('film ' || n)::uuid AS id,
    timestamptz '2015-01-01 00:00:00+00' + pg_temp.chance(n, 6) * interval '3000 days' AS modified
FROM generate_series(
    current_setting('catalogue.first')::bigint, current_setting('catalogue.end')::bigint - 1
) AS n;

CREATE TEMPORARY TABLE title AS
SELECT
    film.n,
    initcap(string_agg(word.spelling, ' ' ORDER BY place)) AS text
FROM film
CROSS JOIN LATERAL generate_series(1, 1 + floor(4 * pg_temp.chance(film.n, 10))::integer) AS place
JOIN word ON word.n = floor(power(8001, pg_temp.chance(film.n * 10 + place, 11)))::bigint
GROUP BY film.n;

CREATE TEMPORARY TABLE description AS
SELECT
    film.n,
    string_agg(sentence.text, ' ' ORDER BY place) AS text
FROM film
CROSS JOIN LATERAL generate_series(1, floor(9.8 * pg_temp.chance(film.n, 12))::integer) AS place
JOIN sentence ON sentence.n = floor(20000 * pg_temp.chance(film.n * 20 + place, 13))::bigint
GROUP BY film.n;
ANALYZE film, title, description;

INSERT INTO content.film_work (id, title, description, creation_date, rating, type, created, modified)
SELECT
    film.id,
    title.text AS title,
    description.text AS description,
    date '1920-01-01' + floor(38000 * pg_temp.chance(film.n, 7))::integer,
    CASE WHEN pg_temp.chance(film.n, 8) < 0.9 THEN round((10 * pg_temp.chance(film.n, 9))::numeric, 1) END,
    'movie',
    film.modified AS created,
    film.modified
FROM film
JOIN title ON title.n = film.n
LEFT JOIN description ON description.n = film.n
ORDER BY film.n;

INSERT INTO content.genre_film_work (id, film_work_id, genre_id, created)
SELECT
    md5('genre ' || genre || ' of film ' || film.n)::uuid,
    film.id,
    md5('genre ' || genre)::uuid,
    film.modified
FROM film
CROSS JOIN generate_series(1, 26) AS genre
WHERE pg_temp.chance(film.n * 30 + genre, 14) < 0.485 / genre
ORDER BY film.n, genre;

-- The density of u^2 falls with the square root of the rank: popularity with a long tail.
INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)
SELECT
    md5('person ' || person || ' ' || role || ' of film ' || n)::uuid,
    id,
    md5('person ' || person)::uuid,
    role,
    modified
FROM (
    SELECT DISTINCT
        film.n,
        film.id,
        film.modified,
        floor(
            power(pg_temp.chance(film.n * 10 + place, 15), 2)
            * (current_setting('catalogue.films')::bigint / 2)
        )::bigint AS person,
        CASE place WHEN 1 THEN 'director' WHEN 4 THEN 'writer' ELSE 'actor' END AS role
    FROM film
    CROSS JOIN LATERAL generate_series(1, 1 + floor(9 * pg_temp.chance(film.n, 16))::integer) AS place
) AS link
ORDER BY n, person, role;

DROP TABLE film, title, description;
