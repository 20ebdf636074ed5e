-- Which transactions are over: everything that those below the ceiling wrote is visible now, or
-- never will be.
-- Returns: ceiling (the oldest transaction that runs), next (the one that begins next); bigint,
-- they never begin again.
SELECT
    txid_snapshot_xmin(snapshot.now) AS ceiling,
    txid_snapshot_xmax(snapshot.now) AS next
FROM txid_current_snapshot() AS snapshot (now)
