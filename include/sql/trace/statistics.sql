-- What PostgreSQL counts of deletions, by table; of a partitioned one, over all its parts. Any role
-- may read it. A hint and no more: told late, lost in a crash, reset by hand or switched off.
-- Parameters: schema, tables (text[]).
-- Returns: table_name, deleted (rows that were ever deleted), files (numbers of the files: TRUNCATE
-- takes others), since (when the server was started and when the counts were reset).
SELECT
    root.relname AS table_name,
    coalesce(sum(pg_stat_get_tuples_deleted(part.id)), 0)::bigint AS deleted,
    coalesce(string_agg(pg_relation_filenode(part.id)::text, ' ' ORDER BY part.id), '') AS files,
    concat_ws(
        ' ', pg_postmaster_start_time(), (
            SELECT pg_stat_get_db_stat_reset_time(pg_database.oid)
            FROM pg_database
            WHERE pg_database.datname = current_database()
        )
    ) AS since
FROM pg_class AS root
JOIN pg_namespace ON pg_namespace.oid = root.relnamespace
CROSS JOIN LATERAL (
    SELECT root.oid AS id
    UNION
    SELECT relid FROM pg_partition_tree(root.oid)
) AS part
WHERE pg_namespace.nspname = %(schema)s AND root.relname = ANY(%(tables)s)
GROUP BY root.relname
