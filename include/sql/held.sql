-- Whether this session holds a lock that this program takes.
-- Parameters: key (bigint).
-- Returns: held.
SELECT exists(
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory'
        AND granted
        AND pid = pg_backend_pid()
        AND objsubid = 1
        AND (classid::bigint << 32) | objid::bigint = %(key)s::bigint
        AND database = (
            SELECT oid FROM pg_database
            WHERE datname = current_database()
        )
) AS held
