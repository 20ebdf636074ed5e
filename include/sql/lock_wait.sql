-- Wait for the writer's lock and take it; it is held until this session ends. A session that asks
-- awaited.sql sees that it is waited for. Ends with lock_not_available when the time is over.
-- Parameters: key (bigint), milliseconds (time to wait; set for this statement only).
-- Returns: lock_timeout, taken (void).
SELECT
    set_config('lock_timeout', %(milliseconds)s::text, true) AS lock_timeout,
    pg_advisory_lock(%(key)s::bigint) AS taken
