-- The database's clock: the external version of documents read after it.
-- Run before the statement whose snapshot builds the documents, so that a
-- greater version always means a later reading.
-- Returns: version (microseconds since 1970, bigint).
SELECT (extract(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS version
