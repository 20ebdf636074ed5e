-- Transactions of this database that are prepared and wait for their COMMIT: they
-- are in no session, and when their rows were stamped is not known. A statement
-- after activity.sql: one that is prepared between the two shows in one of them.
-- It calls the function that the view pg_prepared_xacts is made of: the view also reads catalogues.
-- Returns: gid, prepared (text, UTC), owner.
SELECT
    gid,
    to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS prepared,
    pg_get_userbyid(ownerid)::text AS owner
FROM pg_prepared_xact()
WHERE dbid = (SELECT own.datid FROM pg_stat_get_activity(pg_backend_pid()) AS own)
ORDER BY prepared
