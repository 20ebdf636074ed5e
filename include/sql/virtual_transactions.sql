-- The transactions that are open in this database, by a name that every role may
-- see: what there is in place of start times that activity.sql finds hidden.
-- Autovacuum writes no rows; it is the one with a transaction and without a role
-- (backend_type is hidden from such a role).
-- Parameters: ignored_roles (text[]: roles that never write).
-- Returns: now (text, UTC, read before the locks), transactions (text[]).
SELECT
    to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now,
    coalesce(array_agg(pg_locks.virtualtransaction), '{}') AS transactions
FROM pg_locks
JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid
WHERE pg_locks.locktype = 'virtualxid'
    AND pg_locks.mode = 'ExclusiveLock'
    AND pg_locks.pid <> pg_backend_pid()
    AND pg_stat_activity.datname = current_database()
    AND pg_stat_activity.usesysid IS NOT NULL
    AND coalesce(pg_stat_activity.usename, '') <> ALL(%(ignored_roles)s::name[])
    AND NOT (
        coalesce(pg_stat_activity.usename, '') = current_user
        AND coalesce(pg_stat_activity.application_name, '') LIKE 'movies_etl %%'
    )
