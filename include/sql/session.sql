-- Session settings of the program's connection: one time zone whatever the
-- server's, read only, no JIT (its compilation costs more than these queries),
-- plans made for the page at hand (a generic plan does not know LIMIT).
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET default_transaction_read_only = on;
SET jit = off;
SET plan_cache_mode = force_custom_plan;
SET extra_float_digits = 1
