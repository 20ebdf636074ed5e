-- Which database this is.
-- Returns: name, version (server_version_num), in_recovery (a standby).
SELECT
    current_database() AS name,
    current_setting('server_version_num')::int AS version,
    pg_is_in_recovery() AS in_recovery
