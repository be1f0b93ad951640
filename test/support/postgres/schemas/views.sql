-- Views upon views, rules, and triggers of every state.
CREATE TABLE base (id int PRIMARY KEY, name text, "Parent" int, kind varchar(5) DEFAULT 'a'); INSERT INTO base VALUES (1, 'one', NULL), (2, 'two', 1), (3, 'three', 2);
CREATE VIEW first AS SELECT * FROM base WHERE id > 0 WITH LOCAL CHECK OPTION;
CREATE VIEW second WITH (security_barrier = true, security_invoker = true) AS SELECT id, name FROM first WHERE name <> '' WITH CASCADED CHECK OPTION;
CREATE VIEW "Third" ("ID", "Name", n) AS SELECT s.*, row_number() OVER (ORDER BY s.id) FROM second s JOIN first USING (id);
CREATE RECURSIVE VIEW tree (id, path, depth) AS SELECT id, ARRAY[id], 0 FROM base WHERE "Parent" IS NULL UNION ALL SELECT b.id, path || b.id, depth + 1 FROM base b JOIN tree t ON b."Parent" = t.id;
CREATE VIEW searched AS WITH RECURSIVE w (id, up) AS (SELECT id, "Parent" FROM base UNION ALL SELECT b.id, b."Parent" FROM base b, w WHERE b.id = w.up) SEARCH DEPTH FIRST BY id SET sorted CYCLE id SET looped USING trail SELECT id, up, looped, trail::text AS t FROM w ORDER BY sorted;
CREATE VIEW grouped AS SELECT b.*, count(*) OVER w FROM base b GROUP BY id WINDOW w AS (PARTITION BY kind ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES);
CREATE VIEW lists AS SELECT kind, array_agg(DISTINCT id ORDER BY id DESC) FILTER (WHERE id > 1) AS ids, mode() WITHIN GROUP (ORDER BY name) FROM base GROUP BY ROLLUP (kind) HAVING count(*) > 0;
CREATE VIEW sets AS (SELECT id FROM base EXCEPT ALL SELECT 9) UNION (SELECT 7 INTERSECT SELECT 8) ORDER BY 1 OFFSET 0 FETCH FIRST 5 ROWS WITH TIES;
CREATE VIEW locked AS SELECT id FROM base WHERE kind = ANY ('{a,b}') FOR UPDATE OF base SKIP LOCKED;
CREATE VIEW joined AS SELECT x.id, y.name AS "N" FROM base x LEFT JOIN (base y CROSS JOIN LATERAL (SELECT y.id + 1 AS k) l) AS j (id, name, p, q, k) ON x.id = j.k FULL JOIN base z ON z.id = x.id, generate_series(1, 2) WITH ORDINALITY AS g (v, o), base y;
CREATE VIEW texts AS SELECT E'back\\slash' AS a, U&'\00e9' AS b, $$dollar $ quote$$ AS c, ''::text AS d, NULL AS e, '{"a": 1}'::json ->> 'a' AS f, B'101' AS g, X'1F' AS h, 1e400::numeric AS i, 'NaN'::float8 AS j, interval '1 day -02:00' AS k, '2026-01-01 BC'::date AS l, E'a\nb\r\n\t' AS m;
CREATE VIEW no_columns AS SELECT; CREATE VIEW whole_row AS SELECT base, base.* IS NULL AS n, (base).name AS field FROM base;
ALTER TABLE base RENAME COLUMN name TO "full name"; ALTER TABLE base ADD extra int DEFAULT 5; ALTER VIEW first RENAME COLUMN kind TO sort; ALTER VIEW second ALTER name SET DEFAULT 'nobody';
ALTER TABLE base RENAME TO "Base"; ALTER VIEW grouped RENAME TO "Grouped ""by""";
-- Views that need each other, through functions and rules.
CREATE VIEW ring AS SELECT 1 AS one; CREATE FUNCTION in_ring(ring) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.one'; CREATE OR REPLACE VIEW ring AS SELECT 1 AS one WHERE in_ring(NULL) IS NULL;
CREATE FUNCTION of_third() RETURNS SETOF "Third" STABLE LANGUAGE sql BEGIN ATOMIC SELECT * FROM "Third"; END; CREATE VIEW of_function AS SELECT * FROM of_third();
CREATE MATERIALIZED VIEW filled AS SELECT id, count(*) AS n FROM first GROUP BY id; CREATE UNIQUE INDEX ON filled (id); CREATE INDEX "by n" ON filled (n DESC) WHERE n > 0; ALTER MATERIALIZED VIEW filled CLUSTER ON filled_id_idx;
CREATE MATERIALIZED VIEW on_filled (total) WITH (fillfactor = 60, autovacuum_enabled = off) AS SELECT sum(n) FROM filled; CREATE MATERIALIZED VIEW never AS SELECT 1 / 0 AS x WITH NO DATA; CREATE INDEX ON never (x);
CREATE MATERIALIZED VIEW aaa_on_never AS SELECT x FROM never WITH NO DATA; ALTER MATERIALIZED VIEW filled ALTER n SET STATISTICS 50; CREATE VIEW of_filled AS SELECT * FROM on_filled, filled;
-- Rules, also on views, of every event and state.
CREATE TABLE log (what text, old_id int, new_id int);
CREATE RULE ins AS ON INSERT TO "Third" DO INSTEAD (INSERT INTO "Base" (id, "full name") VALUES (new."ID", new."Name"); INSERT INTO log VALUES ('in;s', NULL, new."ID"));
CREATE RULE upd AS ON UPDATE TO "Base" WHERE old.id <> new.id DO ALSO INSERT INTO log SELECT 'upd', old.id, new.id FROM first WHERE first.id = old.id; CREATE RULE del AS ON DELETE TO log DO INSTEAD NOTHING;
CREATE RULE told AS ON DELETE TO "Base" DO ALSO NOTIFY deleted, 'it''s'; ALTER TABLE "Base" ENABLE ALWAYS RULE upd; ALTER TABLE log DISABLE RULE del; ALTER TABLE "Base" ENABLE REPLICA RULE told;
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN EXECUTE $x$ SELECT $1 $x$ USING TG_ARGV; RETURN NEW; END $body$;
CREATE TRIGGER through INSTEAD OF INSERT OR UPDATE OR DELETE ON tree FOR EACH ROW EXECUTE FUNCTION act('a', 'it''s', E'\\');
CREATE TRIGGER off BEFORE UPDATE OF "full name", kind ON "Base" FOR EACH ROW WHEN (old.* IS DISTINCT FROM new.* AND pg_trigger_depth() < 2) EXECUTE FUNCTION act(); ALTER TABLE "Base" DISABLE TRIGGER off;
CREATE TRIGGER "on always" AFTER TRUNCATE ON "Base" EXECUTE FUNCTION act(); ALTER TABLE "Base" ENABLE ALWAYS TRIGGER "on always";
CREATE TRIGGER on_replica AFTER DELETE ON "Base" REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION act(); ALTER TABLE "Base" ENABLE REPLICA TRIGGER on_replica;
CREATE TRIGGER moved AFTER UPDATE ON "Base" REFERENCING NEW TABLE AS "New ""rows""" OLD TABLE AS o FOR EACH ROW EXECUTE FUNCTION act();
CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE OF id ON "Base" FROM log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id > 5) EXECUTE FUNCTION act();
