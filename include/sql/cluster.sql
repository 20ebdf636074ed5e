-- The cluster's identifier, made by initdb, and its timeline, which a promotion or a
-- restore raises (told here once the checkpoint after it is done). A role may lack
-- the right to read them.
-- Returns: system_identifier (text), timeline.
SELECT
    cluster.system_identifier::text AS system_identifier,
    last_checkpoint.timeline_id AS timeline
FROM pg_control_system() AS cluster
CROSS JOIN pg_control_checkpoint() AS last_checkpoint
