-- How many root rows lie in each range of ids. Uuids have the order of their texts.
-- Names: schema, table.
-- Parameters: bounds (text[], ascending): a row whose id equals a bound lies above it.
-- Returns: number (of the range, from 0), rows; empty ranges are left out.
SELECT
    width_bucket(root.id, %(bounds)s::uuid[]) AS number,
    count(*) AS rows
FROM {schema}.{table} AS root
WHERE root.id IS NOT NULL
GROUP BY 1
