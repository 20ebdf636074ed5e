-- Which database this is.
-- Returns: name, version (server_version_num).
SELECT
    current_database() AS name,
    current_setting('server_version_num')::int AS version
