-- Values that a text format can lose.
CREATE TABLE numbers (i smallint, b bigint, n numeric, r real, d double precision, m money, o oid, x bit varying, y numeric(1000, 500));
INSERT INTO numbers VALUES (-32768, -9223372036854775808, 'NaN', 'NaN', '-Infinity', '-92233720368547758.08', 4294967295, '', 1e-500), (32767, 9223372036854775807, 'Infinity', '-0', '1.7976931348623157e308', '92233720368547758.07', 0, B'1', -1e499),
  (0, 0, '-Infinity', '3.4028235e38', '4.9406564584124654e-324', '0', 1, repeat('10', 999)::varbit, 0), (1, 1, ('1' || repeat('0', 5000) || '.' || repeat('1', 3000))::numeric, 1e-45, 0.1::float8 + 0.2, NULL, NULL, NULL, NULL), (NULL, NULL, 0.00000, 0.1, -0.0, NULL, NULL, NULL, NULL);
CREATE TABLE times (d date, t timestamp, z timestamptz, i interval, ti time, tz timetz, dr daterange, tr tstzmultirange);
INSERT INTO times VALUES ('4713-01-01 BC', '4713-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', '-178000000 years', '00:00', '00:00+15:59:59', '[-infinity,infinity)', '{(,)}'), ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years -11 mons -30 days -23:59:59.999999', '24:00', '24:00-15:59:59', 'empty', '{}'),
  ('infinity', '-infinity', 'infinity', '-1 mon 1 day -00:00:00.000001', '23:59:59.999999', '12:00:00.5+05:30', '(,2026-01-01)', '{[2026-03-29 01:00+00,2026-03-29 02:00+00)}'), ('0001-12-31 BC', '0001-01-01', '1883-11-18 12:03:57.5+00', '0', NULL, NULL, NULL, NULL), ('2000-02-29', '2016-12-31 23:59:60', '2026-10-25 02:30:00 Europe/Vienna', 'P1Y2M3DT4H5M6.7S', '00:00:00.000001', '00:00:00-00:00:01', '[2026-01-01,2026-01-01]', NULL);
CREATE TABLE texts (id serial, t text);
INSERT INTO texts (t) VALUES (''), (NULL), ('NULL'), ('\N'), ('\.'), (E'\\.\n'), (E'a\n\\.\nb'), (E'\\.\r\n'), (E'\n'), (E'\r'), (E'\r\n'), (E'\t'), (E'\\'), (E'\\\\'), (E'\\n'), (E'\x01\x02\x03\x04\x05\x06\x07\b\f\x0b\x0e\x1b\x1f\x7f'), (E'\u0080\u009f\u00a0\u00ad'), (E'\ufeffbom'), (E'\u2028\u2029'), (E'\u200b\u200d\u202e'),
  (E'\ufffe\uffff\ufffd'), (E'\U0001F600\U0010FFFF'), (E'e\u0301 \u00e9'), (E'COPY public.texts (id, t) FROM stdin;\n1\tx\n\\.\n'), (E'\n--\n-- PostgreSQL database dump complete\n--\n\n'), (E'\\unrestrict x\n\\restrict y\n\\connect postgres\n'), ($$'; DROP TABLE texts; --$$), ('$$ $_$ $1'), (repeat(E'\\.\n', 1000)), (repeat(' ', 70000)), (E'trailing \t '), ('%s %1$s {} ${x} `x` $(x)'), (E'"\'\\"');
CREATE TABLE typed_texts (c char(5), v varchar(3), n name, q "char", cs char(3)[], x xml, b bytea, u uuid, k text COLLATE "C" PRIMARY KEY);
INSERT INTO typed_texts VALUES ('a', '   ', '', '', '{"a  ",b}', '<?xml version="1.0"?><a b="&quot;">]]&gt;<![CDATA[ & ]]><!-- - --></a>', '\x', '00000000-0000-0000-0000-000000000000', ''), ('', E'\n', repeat('n', 63)::name, E'\x01', '{}', XMLPARSE(CONTENT 'no root <b/> &amp; '), decode(repeat('00ff5c0a0d27', 50000), 'hex'), 'ffffffff-ffff-ffff-ffff-ffffffffffff', ' ');
CREATE TABLE documents (j json, b jsonb, p jsonpath);
INSERT INTO documents VALUES ('{"a":1,  "a" : 2, "\u0000": "\u0000\ud83d\ude00\ud800"}', '{"b": 1e-1000, "a": 1.10, "": {}}', '$.a ? (@ > 1 && @.b like_regex "x\\.y" flag "i")'), (E'\n[ 1,\n\t2 ]\n', '[[], "\u0001\\", "\"", 1e400, -0, null]', 'strict $[*]."k e\"y"'), ('""', '""', '$'), ('null', 'null', NULL), ('1E+400', '{"\u2028": "😀"}', NULL);
CREATE TYPE part AS (t text, i int, ts text[]);
CREATE TABLE nested (p part, ps part[], a text[], g int[][], s int[], e text[][], r int4range[], m nummultirange);
INSERT INTO nested VALUES (ROW('', NULL, '{}'), ARRAY[ROW(E'",\\()\n', 1, ARRAY['{', '}', ',', '"', '\', 'NULL', NULL, '', ' x '])::part, NULL], ARRAY['NULL', NULL, '', ' ', E'\n', '{}', '"', '\'], '[0:1][-1:0]={{1,2},{3,4}}', '[5:6]={NULL,1}', '{{"a,b",c},{"\\",NULL}}', '{empty,"[1,5)","(,)"}', '{(,1),[2.5,2.5]}'),
  (NULL, '{}', '{}', '{}', NULL, NULL, NULL, '{}'), (ROW(NULL, NULL, NULL), ARRAY[ROW(NULL, NULL, NULL)::part], ARRAY[[['deep']]], NULL, '{}', '{}', '{}', NULL);
CREATE TABLE shapes (p point, l line, s lseg, b box, pa path, o path, po polygon, c circle, n inet, ci cidr, m macaddr, m8 macaddr8, tv tsvector, tq tsquery, lsn pg_lsn, sn pg_snapshot, re regclass, rt regtype, rp regprocedure, tid tid, xid xid8);
INSERT INTO shapes VALUES ('(NaN,-Infinity)', '{1,-1,0}', '[(0,0),(1e-300,1)]', '(1,1),(0,0)', '((0,0),(1,1))', '[(0,0),(1,1)]', '((0,0))', '<(0,0),0>', '::ffff:1.2.3.4/96', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00:00:00', $$'it''s':1A,16383 'b\\':2B ' '$$, $$'a b':*AB & !('c' <2> 'd''e')$$, 'FFFFFFFF/FFFFFFFF', '1:9:3,5', 'texts', 'part[]', 'lower(text)', '(4294967295,65535)', '18446744073709551615');
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE only_dropped (a int);
INSERT INTO only_dropped VALUES (1);
ALTER TABLE only_dropped DROP a;
CREATE TABLE only_generated (g int GENERATED ALWAYS AS (1) STORED);
INSERT INTO only_generated DEFAULT VALUES;
SELECT lo_from_bytea(70001, ''), lo_from_bytea(70002, '\x00'), lo_from_bytea(70003, decode(repeat('00ff5c2e0a', 9000), 'hex')), lo_create(4294967295);
SELECT lo_put(70001, 5000000, '\x0102');
COMMENT ON LARGE OBJECT 70002 IS E'a\n\\.\nb';
GRANT SELECT ON LARGE OBJECT 70002 TO reader WITH GRANT OPTION;
GRANT UPDATE ON LARGE OBJECT 70003 TO PUBLIC;
ALTER LARGE OBJECT 70003 OWNER TO "Writ er";
