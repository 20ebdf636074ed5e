-- Whether a standby has replayed the primary's log up to a place, and of which timeline the log is
-- that it receives. A role without pg_read_all_stats sees that a receiver is there, and no more.
-- Parameters: place (numeric, as log_end.sql returns it).
-- Returns: in_recovery (it is a standby), is_receiving, timeline (NULL: unknown), is_replayed.
SELECT
    pg_is_in_recovery() AS in_recovery,
    (SELECT count(*) FROM pg_stat_wal_receiver) > 0 AS is_receiving,
    (SELECT received_tli FROM pg_stat_wal_receiver) AS timeline,
    coalesce(
        pg_last_wal_replay_lsn() - '0/0'::pg_lsn >= %(place)s::numeric, false
    ) AS is_replayed
