-- Undo one taking of the writer's lock; it is free when each was undone.
-- Parameters: key (bigint).
-- Returns: was_held.
SELECT pg_advisory_unlock(%(key)s::bigint) AS was_held
