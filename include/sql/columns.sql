-- The columns of the catalogue's schema, and what this role may do with their tables. The
-- hidden column xmin is granted with a table, never by a column. Where row_security_active,
-- policies decide which rows this role sees.
-- Parameters: schema.
-- Returns: table_name, column_name, type (as PostgreSQL spells it; of a domain, the type
-- below it), category (pg_type.typcategory), is_required (not NULL), is_unique (by itself),
-- is_partitioned (the table), table_oid (bigint), altered_by (bigint: the transaction
-- that changed the column last), is_usable (the schema), is_readable (the table), is_filtered.
SELECT
    pg_class.relname AS table_name,
    pg_attribute.attname AS column_name,
    format_type(coalesce(nullif(pg_type.typbasetype, 0), pg_type.oid), NULL) AS type,
    pg_type.typcategory::text AS category,
    pg_attribute.attnotnull AS is_required,
    exists(
        SELECT 1 FROM pg_index
        WHERE pg_index.indrelid = pg_class.oid
            AND pg_index.indisunique
            AND pg_index.indisvalid
            AND pg_index.indpred IS NULL
            AND pg_index.indnkeyatts = 1
            AND pg_index.indkey[0] = pg_attribute.attnum
    ) AS is_unique,
    pg_class.relkind = 'p' AS is_partitioned,
    pg_class.oid::bigint AS table_oid,
    pg_attribute.xmin::text::bigint AS altered_by,
    has_schema_privilege(pg_namespace.oid, 'USAGE') AS is_usable,
    has_table_privilege(pg_class.oid, 'SELECT') AS is_readable,
    row_security_active(pg_class.oid) AS is_filtered
FROM pg_namespace
JOIN pg_class ON pg_class.relnamespace = pg_namespace.oid AND pg_class.relkind IN ('r', 'p')
JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
JOIN pg_type ON pg_attribute.atttypid = pg_type.oid
WHERE pg_namespace.nspname = %(schema)s AND pg_attribute.attnum > 0 AND NOT pg_attribute.attisdropped
