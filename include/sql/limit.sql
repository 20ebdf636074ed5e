-- How long a statement of the reconcile may take, as its snapshot keeps VACUUM from its work. It is
-- cancelled then. A shorter limit of the role stays.
-- Returns: statement_timeout (no row where the role's limit stays).
SELECT set_config('statement_timeout', '30s', false) AS statement_timeout
FROM pg_settings
WHERE name = 'statement_timeout' AND NOT setting::bigint BETWEEN 1 AND 30000
