-- Settings of the program's session. All are made by one query but for one: some poolers clean up
-- after a session only where they have seen a SET.

SELECT
    -- Texts come in UTF-8 whatever the database's encoding, without one they would come as bytes.
    set_config('client_encoding', 'UTF8', false),
    -- Times come in UTC.
    set_config('timezone', 'UTC', false),
    -- Times are written year first.
    set_config('datestyle', 'ISO', false),
    -- Ratings are written with as many digits as it takes to read the same number back.
    set_config('extra_float_digits', '1', false),
    -- Where row-level security would hide rows, the query fails instead.
    set_config('row_security', 'off', false),
    -- Compiling these queries costs more than running them.
    set_config('jit', 'off', false),
    -- Each page is planned for its own parameters: a general plan does not know the page's size.
    set_config('plan_cache_mode', 'force_custom_plan', false),
    -- Plans use indexes: at the default of 4 a page of films may read all persons (three times slower).
    set_config('random_page_cost', '1.1', false),
    -- Plans are made for reading all rows of a query, not the first ones.
    set_config('cursor_tuple_fraction', '1.0', false),
    -- A page may stay open for an hour while Elasticsearch is waited for.
    set_config('idle_in_transaction_session_timeout', '1h', false),
    -- No transaction is cut off for its length, where PostgreSQL has that limit (from 17 on).
    CASE
        WHEN current_setting('transaction_timeout', true) != ''
            THEN set_config('transaction_timeout', '0', false)
    END,
    -- PostgreSQL's default of 4 MB becomes 32, so that half a million persons are joined in memory.
    CASE
        WHEN current_setting('work_mem') = '4MB'
            THEN set_config('work_mem', '32MB', false)
    END,
    -- A worker that vanished loses its session, and with it the lock, within two minutes:
    -- PostgreSQL asks after 30 seconds of silence whether the worker is still there,
    set_config('tcp_keepalives_idle', '30', false),
    -- then every 10 seconds,
    set_config('tcp_keepalives_interval', '10', false),
    -- and ends the session after 6 questions without an answer.
    set_config('tcp_keepalives_count', '6', false),
    -- It ends the session, too, when rows that it sent were not confirmed for 90 seconds.
    set_config('tcp_user_timeout', '90000', false),
    -- The session of a process that was killed ends amid a query, too (from PostgreSQL 14 on, on Linux).
    CASE
        WHEN current_setting('client_connection_check_interval', true) IS NOT null
            AND position('linux' IN version()) > 0
            THEN set_config('client_connection_check_interval', '500ms', false)
    END;

-- The session only reads: a query that writes would fail.
SET default_transaction_read_only = on
