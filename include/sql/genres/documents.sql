-- Whole documents for a page of genres; see movies/documents.sql for the rules of the text.
-- Names: schema.
-- Parameters: ids (genre ids).
-- Returns: id, document (JSON in UTF-8, as it is sent), one row per genre that exists.
WITH assembled AS (
    SELECT
        genre.id::text AS id,
        '{"id":' || to_json(genre.id::text)::text
        || ',"name":' || coalesce(to_json(genre.name::text)::text, 'null')
        || ',"description":' || coalesce(to_json(genre.description::text)::text, 'null') AS body
    FROM {schema}.genre
    WHERE genre.id = ANY(%(ids)s)
    ORDER BY genre.id
)

SELECT
    id,
    convert_to(
        body || ',"checksum":' || ('x' || left(md5(body), 16))::bit(64)::bigint::text || '}', 'UTF8'
    ) AS document
FROM assembled
