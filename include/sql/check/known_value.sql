-- Whether a column has one of some values; ends at the first.
-- Names: schema, table, field.
-- Parameters: known_values (text[]).
-- Returns: found.
SELECT exists(
    SELECT 1 FROM {schema}.{table}
    WHERE {field}::text = ANY(%(known_values)s)
) AS found
