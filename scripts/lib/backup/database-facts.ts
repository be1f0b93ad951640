import type { Query } from '../postgres/client.ts';
import { readProperties } from '../postgres/database-properties.ts';
import { ICU_LOCALE } from '../postgres/databases.ts';
import { readNeeds } from '../postgres/needs.ts';

/** @returns what the manifest has about the database, except the rows, from the snapshot of `query` */
export async function readFacts(query: Query, name: string) {
  const [database] = await query<{
    snapshotAt: string;
    encoding: string;
    collate: string;
    ctype: string;
    icuLocale: string | null;
    databaseBytes: number;
    largeObjects: number;
    migrations: boolean;
  }>(`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "snapshotAt",
      pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, ${ICU_LOCALE},
      pg_database_size(d.oid) AS "databaseBytes",
      (SELECT count(*) FROM pg_largeobject_metadata) AS "largeObjects",
      to_regclass('public._prisma_migrations') IS NOT NULL AS migrations
    FROM pg_database d WHERE datname = current_database()`);
  const { encoding, collate, ctype, icuLocale, migrations, ...rest } = database!;
  const extensions = await query<{ name: string; version: string }>(
    'SELECT extname AS name, extversion AS version FROM pg_extension ORDER BY extname',
  );
  const [head] = migrations
    ? await query<{ name: string }>(`SELECT migration_name AS name FROM public._prisma_migrations
        WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY finished_at DESC, migration_name DESC LIMIT 1`)
    : [];
  return {
    ...rest,
    server: { encoding, collate, ctype, icuLocale },
    properties: await readProperties(query, name),
    extensions,
    migrationHead: head?.name ?? null,
    needs: await readNeeds(query),
  };
}
