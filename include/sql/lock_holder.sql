-- The session that holds the writer's lock.
-- Parameters: key (bigint).
-- Returns: pid, role, application (what the holder calls itself), address, since
-- (begin of its session; text, UTC); what this role may not see is NULL.
SELECT
    pg_locks.pid,
    pg_stat_activity.usename::text AS role,
    pg_stat_activity.application_name AS application,
    host(pg_stat_activity.client_addr) AS address,
    to_char(pg_stat_activity.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS since
FROM pg_locks
JOIN pg_database ON pg_locks.database = pg_database.oid AND pg_database.datname = current_database()
LEFT JOIN pg_stat_activity ON pg_locks.pid = pg_stat_activity.pid
WHERE pg_locks.locktype = 'advisory'
    AND pg_locks.granted
    AND pg_locks.objsubid = 1
    AND (pg_locks.classid::bigint << 32) | pg_locks.objid::bigint = %(key)s::bigint
