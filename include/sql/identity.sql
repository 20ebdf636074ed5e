-- Which database this is. Not from pg_database: a new session's first look into a catalogue takes
-- longer than the rest.
-- Returns: name, oid (bigint), version (server_version_num), in_recovery (a standby).
SELECT
    current_database()::text AS name,
    datid::bigint AS oid,
    current_setting('server_version_num')::int AS version,
    pg_is_in_recovery() AS in_recovery
FROM pg_stat_get_activity(pg_backend_pid())
