-- What is visible now, as one text: while it stays the same, nothing has become visible on a
-- primary. A transaction that wrote ends by leaving the list of those that run or by moving its
-- upper end; one that is prepared stays in the list; subtransactions end with the one above them.
-- txid_current_snapshot() is pg_current_snapshot() by the name that PostgreSQL 12 knows as well.
-- Returns: snapshot (text).
SELECT txid_current_snapshot()::text AS snapshot
