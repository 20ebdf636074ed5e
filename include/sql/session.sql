-- Session settings of the program's connection: one time zone whatever the
-- server's, read only, no JIT (its compilation costs more than these queries),
-- plans made for the page at hand (a generic plan does not know LIMIT) that do not
-- shun an index (at the default of 4 a page of 1,000 films reads a large table of
-- persons from end to end: 146 against 49 us a film at half a million) and that are
-- to be read to the end, an hour in which a page's documents may be fetched bit by
-- bit (Elasticsearch may have to be waited for, transaction_timeout is there from
-- PostgreSQL 17 on), and a worker that vanished loses its session, and with it the
-- lock, within two minutes. Half a million persons are joined in memory where 32 MB
-- allow it (at the default of 4 MB a page of 5,000 films costs twice as much there),
-- unless somebody chose work_mem for the role, the database or the connection.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET default_transaction_read_only = on;
SET jit = off;
SET plan_cache_mode = force_custom_plan;
SET random_page_cost = 1.1;
SET cursor_tuple_fraction = 1.0;
SET idle_in_transaction_session_timeout = '1h';
SELECT set_config(name, CASE name WHEN 'work_mem' THEN '32MB' ELSE '0' END, false)
FROM pg_settings
WHERE name = 'transaction_timeout'
    OR (name = 'work_mem' AND setting::bigint < 32768 AND source IN ('default', 'configuration file'));
SET extra_float_digits = 1;
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 6;
SET tcp_user_timeout = 90000
