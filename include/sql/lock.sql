-- Take the writer's lock, if it is free; it is held until this session ends.
-- Parameters: key (bigint).
-- Returns: taken.
SELECT pg_try_advisory_lock(%(key)s::bigint) AS taken
