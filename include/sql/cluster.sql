-- The cluster's identifier, made by initdb, and its timeline, which a promotion or a
-- restore raises (it shows here after the next checkpoint). A role may lack
-- the right to read them.
-- And what is visible now: while snapshot and life stay the same, nothing has become visible. A
-- crash may lose transactions whose numbers are given again, so it is another life: recovery ends
-- with a checkpoint, and a start has a time. txid_current_snapshot() is pg_current_snapshot() by the
-- name that PostgreSQL 12 knows as well.
-- Returns: system_identifier (text), timeline, life (text: which life of the server, which database,
-- which role), snapshot (text).
SELECT
    cluster.system_identifier::text AS system_identifier,
    last_checkpoint.timeline_id AS timeline,
    concat_ws(
        ' ',
        cluster.system_identifier,
        last_checkpoint.timeline_id,
        last_checkpoint.checkpoint_lsn,
        pg_postmaster_start_time(),
        current_database(),
        current_user
    ) AS life,
    txid_current_snapshot()::text AS snapshot
FROM pg_control_system() AS cluster
CROSS JOIN pg_control_checkpoint() AS last_checkpoint
