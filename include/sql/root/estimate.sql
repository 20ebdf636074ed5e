-- About how many rows the root table has, from the last ANALYZE or VACUUM; of a partitioned one,
-- over all its parts.
-- Parameters: schema, table.
-- Returns: rows (negative or 0 when unknown).
SELECT sum(pg_class.reltuples)::bigint AS rows
FROM pg_class AS root
JOIN pg_namespace ON pg_namespace.oid = root.relnamespace
CROSS JOIN LATERAL (
    SELECT root.oid AS id
    UNION
    SELECT relid
    FROM pg_partition_tree(root.oid)
    WHERE isleaf
) AS part
JOIN pg_class ON pg_class.oid = part.id AND pg_class.relkind = 'r'
WHERE pg_namespace.nspname = %(schema)s AND root.relname = %(table)s
