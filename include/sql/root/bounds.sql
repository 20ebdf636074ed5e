-- Ids that divide the root table into ranges of about equal size, from a sample of its pages. In the
-- order in which Elasticsearch has them: as text, by bytes.
-- Names: schema, table.
-- Parameters: fractions (float8[], ascending), percent (of all pages, up to 100).
-- Returns: bounds (text[]; NULL when the sample is empty).
SELECT
    percentile_disc(%(fractions)s::float8[]) WITHIN GROUP (ORDER BY root.id::text COLLATE "C") AS bounds
FROM {schema}.{table} AS root TABLESAMPLE SYSTEM (%(percent)s)  -- noqa: PRS
