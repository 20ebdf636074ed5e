-- How far it is safe to read: the database's clock less a margin.
-- Run in a statement of its own, before any page's snapshot.
-- Parameters: margin (seconds).
-- Returns: now and horizon (text, UTC, six fractional digits).
SELECT
    to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now,
    to_char(
        (statement_timestamp() - make_interval(secs => %(margin)s)) AT TIME ZONE 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
    ) AS horizon
