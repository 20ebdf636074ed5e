-- The database's time, as text.
-- Returns: now (UTC, six fractional digits).
SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now
