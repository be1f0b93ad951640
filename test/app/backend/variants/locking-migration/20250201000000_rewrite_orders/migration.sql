-- As a rewrite of a large table does: every query on orders waits until this ends.
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;
SELECT pg_sleep(600);
