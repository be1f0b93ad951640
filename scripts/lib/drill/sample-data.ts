/*
 * The database of a community: members, topics, replies, votes, files, settings. Words repeat as in real text, so the
 * data compresses like real data.
 */
const WORDS = `ARRAY['neural','model','training','data','prompt','token','context','layer','weights','the','a','and',
  'of','in','with','does','not','when','how','deploy','server','question','answer','thanks','error','version']`;

/** A part of one of the pool's texts, which is cheap to generate. */
const text = (characters: string) => `substr(pool.text, 1 + i % 97, ${characters}) || md5(i::text)`;

/** Rows numbered `i`, each with a text of the pool. */
const rows = (count: number) =>
  `generate_series(1, ${count}) AS s (i) JOIN pool ON pool.n = (i::bigint * 7919 % 1000)::int`;

/** @returns SQL that creates and fills the sample tables; at scale 1 about 140 MB, 660,000 rows */
export function sampleData(scale: number): string {
  const some = (count: number) => Math.max(1, Math.round(count * scale));
  const [members, topics, replies, votes, files] = [
    some(30_000),
    some(40_000),
    some(180_000),
    some(400_000),
    some(300),
  ];
  return `
    SELECT setseed(0.42);
    CREATE TEMP TABLE pool AS
      SELECT n, string_agg((${WORDS})[1 + (random() * 25)::int], ' ') AS text
      FROM generate_series(0, 999) AS n, generate_series(1, 130) GROUP BY n;
    CREATE TYPE role AS ENUM ('member', 'moderator', 'admin');
    CREATE TABLE member (
      id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      email text NOT NULL UNIQUE,
      role role NOT NULL DEFAULT 'member',
      profile jsonb NOT NULL,
      joined timestamptz NOT NULL
    );
    CREATE TABLE topic (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      author int NOT NULL REFERENCES member,
      title text NOT NULL,
      tags text[] NOT NULL,
      created timestamptz NOT NULL
    );
    CREATE TABLE reply (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      member int NOT NULL REFERENCES member,
      body text NOT NULL,
      length int GENERATED ALWAYS AS (length(body)) STORED
    );
    CREATE TABLE vote (reply bigint NOT NULL, member int NOT NULL, value smallint NOT NULL, PRIMARY KEY (reply, member));
    CREATE TABLE file (name text PRIMARY KEY, content bytea NOT NULL);
    CREATE TABLE setting (key text PRIMARY KEY, value jsonb);
    INSERT INTO member (email, profile, joined)
      SELECT 'member' || i || '@example.org',
        jsonb_build_object('name', md5(i::text), 'karma', i % 977, 'langs', jsonb_build_array('en', 'de'), 'bio', ${text('80')}),
        timestamptz '2024-01-01' + i * interval '1 minute'
      FROM ${rows(members)};
    INSERT INTO topic (author, title, tags, created)
      SELECT 1 + i % ${members}, ${text('40')}, ARRAY['tag' || i % 50, 'tag' || i % 7], timestamptz '2024-06-01' + i * interval '7 minutes'
      FROM ${rows(topics)};
    INSERT INTO reply (member, body)
      SELECT 1 + i % ${members}, ${text('200 + i % 400')} FROM ${rows(replies)};
    INSERT INTO vote
      SELECT 1 + i % ${replies}, 1 + (i / ${replies}) * 7 + i % 7, CASE i % 5 WHEN 0 THEN -1 ELSE 1 END
      FROM generate_series(1, ${votes}) AS s (i) ON CONFLICT DO NOTHING;
    INSERT INTO file
      SELECT 'file' || i, decode((SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1000) WHERE i > 0), 'hex')
      FROM generate_series(1, ${files}) AS s (i);
    DROP TABLE pool;
    CREATE INDEX ON topic (created);
    CREATE INDEX ON topic USING gin (tags);
    CREATE INDEX ON reply (member);
    CREATE INDEX ON member USING gin (profile);
    ANALYZE`;
}
