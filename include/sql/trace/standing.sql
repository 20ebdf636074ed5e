-- How many link rows stand: written by a transaction below a ceiling. They can only become fewer,
-- when one is deleted or changed. Counted by parts of the documents that they belong to, for two
-- ceilings at once. A row may be so old that numbers of transactions have begun again since: age()
-- is negative then, and the row stands.
-- Names: schema, table, root (the column of the document's id), hash (a function of its type).
-- Parameters: earlier, ceiling (transactions as text, xid), parts (a power of 2).
-- Returns: part (from 0), before (rows below the first ceiling), now (below the second).
SELECT
    ({hash}(link.{root}, 0) & (%(parts)s - 1))::int AS part,
    count(*) FILTER (
        WHERE NOT age(link.xmin) BETWEEN 0 AND age(%(earlier)s::xid)
    ) AS before,
    count(*) FILTER (
        WHERE NOT age(link.xmin) BETWEEN 0 AND age(%(ceiling)s::xid)
    ) AS now
FROM {schema}.{table} AS link
WHERE link.{root} IS NOT NULL
GROUP BY 1
