-- Session settings of the program's connection.
-- Texts come in UTF-8 whatever the database's encoding, without one they would come as bytes.
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET extra_float_digits = 1;
SET default_transaction_read_only = on;
-- Row-level security is an error and hides no row.
SET row_security = off;
-- The compilation costs more than these queries.
SET jit = off;
-- Plans are made for the page at hand: a generic plan does not know LIMIT. They do not shun an
-- index (at the default of 4 a page of 1,000 films reads a large table of persons from end to end:
-- 146 against 49 us a film at half a million), and what they find is read to the end.
SET plan_cache_mode = force_custom_plan;
SET random_page_cost = 1.1;
SET cursor_tuple_fraction = 1.0;
-- The documents of a page may be fetched bit by bit for an hour, because Elasticsearch may have to be
-- waited for. transaction_timeout is there from PostgreSQL 17 on.
SET idle_in_transaction_session_timeout = '1h';
SELECT set_config('transaction_timeout', '0', false)
WHERE coalesce(current_setting('transaction_timeout', true), '') != '';
-- The default of 4 MB becomes 32: half a million persons are then joined in memory (PostgreSQL 15
-- on), at 4 MB a page of 5,000 films costs twice as much there.
SELECT set_config('work_mem', '32MB', false)
WHERE current_setting('work_mem') = '4MB';
-- A worker that vanished loses its session, and with it the lock, within two minutes.
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 6;
SET tcp_user_timeout = 90000
