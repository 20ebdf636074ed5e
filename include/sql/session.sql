-- Session settings of the program's connection: texts in UTF-8 whatever the
-- database's encoding (one without an encoding would send bytes), one time zone whatever
-- the server's, read only, no JIT (its compilation costs more than these queries),
-- plans made for the page at hand (a generic plan does not know LIMIT) that do not
-- shun an index (at the default of 4 a page of 1,000 films reads a large table of
-- persons from end to end: 146 against 49 us a film at half a million) and that are
-- to be read to the end, an hour in which a page's documents may be fetched bit by
-- bit (Elasticsearch may have to be waited for, transaction_timeout is there from
-- PostgreSQL 17 on), and a worker that vanished loses its session, and with it the
-- lock, within two minutes. Where work_mem is 4 MB, the default, it becomes 32 MB:
-- half a million persons are then joined in memory (PostgreSQL 15 on), at 4 MB a page
-- of 5,000 films costs twice as much there.
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET default_transaction_read_only = on;
SET jit = off;
SET plan_cache_mode = force_custom_plan;
SET random_page_cost = 1.1;
SET cursor_tuple_fraction = 1.0;
SET idle_in_transaction_session_timeout = '1h';
SELECT set_config('transaction_timeout', '0', false)
WHERE coalesce(current_setting('transaction_timeout', true), '') != '';
SELECT set_config('work_mem', '32MB', false)
WHERE current_setting('work_mem') = '4MB';
SET extra_float_digits = 1;
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 6;
SET tcp_user_timeout = 90000
