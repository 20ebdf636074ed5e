-- The cluster's identifier, made by initdb; a role may lack the right to read it.
-- Returns: system_identifier (text).
SELECT system_identifier::text AS system_identifier FROM pg_control_system()
