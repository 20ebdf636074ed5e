-- The subscriptions of logical replication that write to tables of the catalogue, or to
-- partitions of them.
-- Parameters: schema, tables (text[]).
-- Returns: name (text).
SELECT DISTINCT subscription.subname::text AS name
FROM pg_stat_subscription AS subscription
JOIN pg_subscription_rel ON pg_subscription_rel.srsubid = subscription.subid
JOIN pg_class
    ON pg_class.oid = coalesce(pg_partition_root(pg_subscription_rel.srrelid), pg_subscription_rel.srrelid)
JOIN pg_namespace ON pg_class.relnamespace = pg_namespace.oid
WHERE pg_namespace.nspname = %(schema)s AND pg_class.relname = ANY(%(tables)s)
ORDER BY name
