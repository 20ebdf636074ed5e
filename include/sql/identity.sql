-- Which database this is.
-- Returns: name, oid (bigint), version (server_version_num), in_recovery (a standby).
SELECT
    datname AS name,
    oid::bigint AS oid,
    current_setting('server_version_num')::int AS version,
    pg_is_in_recovery() AS in_recovery
FROM pg_database
WHERE datname = current_database()
