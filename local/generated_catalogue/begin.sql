-- A film catalogue of any size, the same for the same size on every machine: each
-- value is a hash of its row's number and of a number for its purpose. begin.sql,
-- films.sql for one range of films after the other, and end.sql fill the empty tables
-- of local/schema.sql, in one transaction, as a superuser (foreign keys hold by
-- construction and are not checked).
-- A film has 1 to 9 persons (5 on average) out of half as many persons as films,
-- the most popular in 0.45 % of all links; 1.9 genres of 26 on average, the largest
-- in 48 % of the films; a document of 1.14 kB on average.
SET LOCAL session_replication_role = 'replica';
SET LOCAL synchronize_seqscans = off;
SET LOCAL work_mem = '256MB';

-- A number from 0 up to, but not including, 1.
CREATE FUNCTION pg_temp.chance(row_number bigint, purpose bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(row_number, purpose) & 4294967295) / 4294967296.0::double precision;

-- Links are checked for doubles when all are there: much faster than one by one.
ALTER TABLE content.genre_film_work DROP CONSTRAINT genre_film_work_film_work_id_genre_id_key;
ALTER TABLE content.person_film_work DROP CONSTRAINT person_film_work_film_work_id_person_id_role_key;
ALTER TABLE content.genre_film_work DROP CONSTRAINT genre_film_work_pkey;
ALTER TABLE content.person_film_work DROP CONSTRAINT person_film_work_pkey;

-- 8,000 words of one to four syllables, every ninth in Russian.
CREATE TEMPORARY TABLE word AS
SELECT
    n,
    (
        SELECT string_agg(
            CASE WHEN n % 9 = 0
                THEN (ARRAY[
                    'ка', 'ро', 'ли', 'ст', 'на', 'ве', 'мо', 'ду',
                    'зе', 'по', 'ра', 'ти', 'го', 'шу', 'ния', 'ный'
                ])[1 + ((n * 7919 + 13) / power(16, syllable)::bigint) % 16]
                ELSE (ARRAY[
                    'ta', 're', 'mi', 'lon', 'sa', 'ver', 'no', 'dra',
                    'cle', 'pi', 'ston', 'ba', 'che', 'fu', 'ing', 'ed'
                ])[1 + ((n * 7919 + 13) / power(16, syllable)::bigint) % 16]
            END,
            '' ORDER BY syllable
        )
        FROM generate_series(0, least(3, (ln(n) / 2.3)::integer)) AS syllable
    ) AS spelling
FROM generate_series(1::bigint, 8000) AS n;

-- 20,000 sentences of 5 to 14 words; the n-th word is as frequent as 1 / n.
CREATE TEMPORARY TABLE sentence AS
SELECT
    sentence.n,
    initcap(left(string_agg(word.spelling, ' ' ORDER BY place), 1))
    || substr(string_agg(word.spelling, ' ' ORDER BY place), 2) || '.' AS text
FROM generate_series(0::bigint, 19999) AS sentence (n)
CROSS JOIN LATERAL generate_series(1, 5 + floor(10 * pg_temp.chance(sentence.n, 1))::integer) AS place
JOIN word ON word.n = floor(power(8001, pg_temp.chance(sentence.n * 100 + place, 2)))::bigint
GROUP BY sentence.n;
ANALYZE word, sentence;

INSERT INTO content.genre (id, name, created, modified)
SELECT
    md5('genre ' || n)::uuid,
    (ARRAY[
        'Drama', 'Comedy', 'Thriller', 'Romance', 'Action', 'Documentary', 'Horror', 'Crime', 'Adventure',
        'Family', 'Animation', 'Fantasy', 'Mystery', 'Sci-Fi', 'History', 'Music', 'Biography', 'War',
        'Western', 'Musical', 'Sport', 'Short', 'Film-Noir', 'News', 'Reality-TV', 'Talk-Show'
    ])[n],
    timestamptz '2014-01-01 00:00:00+00',
    timestamptz '2014-01-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 26) AS n;
