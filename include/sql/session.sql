-- Settings of the program's session.

-- Texts come in UTF-8 whatever the database's encoding, without one they would come as bytes.
SET client_encoding = 'UTF8';
-- Times come in UTC.
SET timezone = 'UTC';
-- Times are written year first.
SET datestyle = 'ISO';
-- Ratings are written with as many digits as it takes to read the same number back.
SET extra_float_digits = 1;
-- The session only reads: a query that writes would fail.
SET default_transaction_read_only = on;
-- Where row-level security would hide rows, the query fails instead.
SET row_security = off;
-- Compiling these queries costs more than running them.
SET jit = off;
-- Each page is planned for its own parameters: a general plan does not know the page's size.
SET plan_cache_mode = force_custom_plan;
-- Plans use indexes: at the default of 4 a page of films may read all persons (three times slower).
SET random_page_cost = 1.1;
-- Plans are made for reading all rows of a query, not the first ones.
SET cursor_tuple_fraction = 1.0;
-- A page may stay open for an hour while Elasticsearch is waited for.
SET idle_in_transaction_session_timeout = '1h';
-- No transaction is cut off for its length, where PostgreSQL has that limit (from 17 on).
SELECT set_config('transaction_timeout', '0', false)
WHERE coalesce(current_setting('transaction_timeout', true), '') != '';
-- PostgreSQL's default of 4 MB becomes 32, so that half a million persons are joined in memory.
SELECT set_config('work_mem', '32MB', false)
WHERE current_setting('work_mem') = '4MB';
-- A worker that vanished loses its session, and with it the lock, within two minutes:
-- PostgreSQL asks after 30 seconds of silence whether the worker is still there,
SET tcp_keepalives_idle = 30;
-- then every 10 seconds,
SET tcp_keepalives_interval = 10;
-- and ends the session after 6 questions without an answer.
SET tcp_keepalives_count = 6;
-- It ends the session, too, when rows that it sent were not confirmed for 90 seconds.
SET tcp_user_timeout = 90000;
-- The session of a process that was killed ends amid a query, too (from PostgreSQL 14 on, on Linux).
SELECT set_config('client_connection_check_interval', '500ms', false)
WHERE current_setting('client_connection_check_interval', true) IS NOT null
    AND position('linux' IN version()) > 0
