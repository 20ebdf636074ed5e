-- The column lists of the usable B-tree indexes of the catalogue's schema: of all rows, and
-- without expressions. Columns that an index only includes do not order it.
-- Parameters: schema.
-- Returns: table_name, columns (text[], in index order).
SELECT
    pg_class.relname AS table_name,
    array_agg(pg_attribute.attname::text ORDER BY key.position) AS columns
FROM pg_index
JOIN pg_class ON pg_index.indrelid = pg_class.oid
JOIN pg_namespace ON pg_class.relnamespace = pg_namespace.oid
JOIN pg_class AS index_class ON pg_index.indexrelid = index_class.oid
JOIN pg_am ON index_class.relam = pg_am.oid
CROSS JOIN LATERAL unnest(pg_index.indkey::smallint[]) WITH ORDINALITY AS key (number, position)
JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid AND pg_attribute.attnum = key.number
WHERE pg_namespace.nspname = %(schema)s
    AND pg_am.amname = 'btree'
    AND pg_index.indisvalid
    AND pg_index.indpred IS NULL
    AND pg_index.indexprs IS NULL
    AND key.position <= pg_index.indnkeyatts
GROUP BY pg_class.relname, pg_index.indexrelid
