-- Which tables these are, and the newest transaction that changed one of their columns: while
-- both stay the same, a table has the columns that columns.sql found, and this is cheaper to ask.
-- A change of a column's type writes pg_attribute always and pg_class only sometimes.
-- Parameters: schema, tables (text[]).
-- Returns: table_oid (bigint), altered_by (bigint); nothing of a table that is not there.
SELECT
    pg_attribute.attrelid::bigint AS table_oid,
    max(pg_attribute.xmin::text::bigint) AS altered_by
FROM pg_attribute
WHERE pg_attribute.attnum > 0
    AND NOT pg_attribute.attisdropped
    AND pg_attribute.attrelid IN (
        SELECT to_regclass(quote_ident(%(schema)s) || '.' || quote_ident(one.name))::oid
        FROM unnest(%(tables)s::text[]) AS one (name)
    )
GROUP BY pg_attribute.attrelid
