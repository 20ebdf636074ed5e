-- How many link rows there are, and how many of them stand; see standing.sql, which costs three times
-- as much.
-- Names: schema, table, root (the column of the document's id).
-- Parameters: earlier (a transaction as text, xid).
-- Returns: rows, standing (rows written below it).
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE NOT age(link.xmin) BETWEEN 0 AND age(%(earlier)s::xid)) AS standing
FROM {schema}.{table} AS link
WHERE link.{root} IS NOT NULL
