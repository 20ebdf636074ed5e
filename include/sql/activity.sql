-- The oldest transaction that is open in this database: rows stamped after its
-- start may still appear. A statement of its own, before any page's snapshot:
-- statement_timestamp() is read before the sessions are looked at, and a session
-- that is gone from the list has been made visible to every later snapshot.
-- A role without pg_read_all_stats cannot see when others began: hidden > 0.
-- backend_type is hidden with it, so it is coalesced: NOT IN would drop the row.
-- Nobody sees it of a session with track_activities = off ('disabled', idle or not),
-- nor, between its statements, of a transaction in which that was turned on again:
-- both are hidden as well.
-- It is asked in each run, in a new session, where the tables behind the view pg_stat_activity take
-- longer to be planned than the rest: so this asks the function behind it.
-- Parameters: ignored_roles (text[]: roles that never write).
-- Returns: now, oldest (text, UTC; now when nothing is open), hidden, and of the
-- oldest: pid, role, application, since.
WITH session AS (
    SELECT
        pid,
        pg_get_userbyid(usesysid) AS role,
        application_name AS application,
        query = '<insufficient privilege>'
        OR state = 'disabled'
        OR (state LIKE 'idle in transaction%%' AND xact_start IS NULL) AS is_hidden,
        coalesce(xact_start, CASE WHEN state = 'active' THEN query_start END) AS since
    FROM pg_stat_get_activity(NULL)
    WHERE datid = (SELECT own.datid FROM pg_stat_get_activity(pg_backend_pid()) AS own)
        AND pid <> pg_backend_pid()
        AND coalesce(backend_type, 'hidden') NOT IN ('autovacuum worker', 'walsender', 'parallel worker')
        AND coalesce(pg_get_userbyid(usesysid), '') <> ALL(%(ignored_roles)s::name[])
        AND NOT (
            coalesce(pg_get_userbyid(usesysid), '') = current_user
            AND coalesce(application_name, '') LIKE 'movies_etl %%'
        )
),

oldest AS (
    SELECT pid, role, application, since FROM session
    WHERE since IS NOT NULL
    ORDER BY since
    LIMIT 1
)

SELECT
    to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS now,
    to_char(
        least(oldest.since, statement_timestamp()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
    ) AS oldest,
    (
        SELECT count(*) FROM session
        WHERE is_hidden
    ) AS hidden,
    oldest.pid,
    oldest.role::text AS role,
    oldest.application,
    to_char(oldest.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS since
FROM (SELECT 1) AS one
LEFT JOIN oldest ON TRUE
