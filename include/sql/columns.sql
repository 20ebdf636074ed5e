-- The columns of the catalogue's schema and whether this role may read their tables.
-- Parameters: schema.
-- Returns: table_name, column_name, type (as PostgreSQL spells it), readable.
SELECT
    pg_class.relname AS table_name,
    pg_attribute.attname AS column_name,
    format_type(pg_attribute.atttypid, NULL) AS type,
    has_schema_privilege(pg_namespace.oid, 'USAGE')
    AND has_any_column_privilege(pg_class.oid, 'SELECT') AS readable
FROM pg_namespace
JOIN pg_class ON pg_class.relnamespace = pg_namespace.oid AND pg_class.relkind IN ('r', 'p')
JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
WHERE pg_namespace.nspname = %(schema)s AND pg_attribute.attnum > 0 AND NOT pg_attribute.attisdropped
