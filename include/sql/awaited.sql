-- Whether a session waits for a lock that this program takes.
-- Parameters: key (bigint).
-- Returns: awaited.
SELECT exists(
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory'
        AND NOT granted
        AND objsubid = 1
        AND (classid::bigint << 32) | objid::bigint = %(key)s::bigint
        AND database = (
            SELECT oid FROM pg_database
            WHERE datname = current_database()
        )
) AS awaited
