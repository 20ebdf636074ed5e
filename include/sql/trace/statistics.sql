-- What PostgreSQL counts of deletions, by table; of a partitioned one, over all its parts. Any role
-- may read it. A hint and no more: it comes late, and may be lost in a crash, reset by hand or
-- switched off. It is asked in each run, in a new session, where looking into a catalogue takes
-- longer than the rest: so it goes by numbers.
-- Parameters: oids (oid[]).
-- Returns: table_oid (bigint), deleted (rows that were ever deleted), files (numbers of the files:
-- TRUNCATE takes others), since (when the server was started and when the counts were reset).
SELECT
    root.id::bigint AS table_oid,
    coalesce(sum(pg_stat_get_tuples_deleted(coalesce(part.relid, root.id))), 0)::bigint AS deleted,
    coalesce(
        string_agg(
            pg_relation_filenode(coalesce(part.relid, root.id))::text, ' ' ORDER BY part.relid::oid
        ), ''
    ) AS files,
    concat_ws(
        ' ', pg_postmaster_start_time(), (
            SELECT pg_stat_get_db_stat_reset_time(own.datid)
            FROM pg_stat_get_activity(pg_backend_pid()) AS own
        )
    ) AS since
FROM unnest(%(oids)s::oid[]) AS root (id)
LEFT JOIN LATERAL pg_partition_tree(root.id) AS part ON TRUE
GROUP BY root.id
