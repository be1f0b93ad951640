import { appliedMigrations } from '../migrations/pending.ts';
import { ANY_VALUE } from '../postgres/compare-definitions.ts';
import { readProperties } from '../postgres/database-properties.ts';
import { readDatabaseRow } from '../postgres/database-row.ts';
import { type Definitions, readDefinitions } from '../postgres/definitions.ts';
import { readNeeds } from '../postgres/needs.ts';
import { lastValues, listSequences, type Sequence, sequencesBehind } from '../postgres/sequences.ts';
import type { Statements } from '../postgres/session.ts';
import { packDefinitions } from './packed-definitions.ts';

/** What is read before a dump and completed after it, because sequences belong to no snapshot. */
interface Begun {
  definitions: Definitions;
  sequences: Sequence[];
  values: string[];
}

/**
 * Reads what the manifest has about the database, except the rows, from the session's snapshot.
 * @returns the facts, and what {@link completeFacts} takes
 * @throws CommandError
 */
export async function readFacts(session: Statements, name: string) {
  const { query } = session;
  const [database] = await query<{
    snapshotAt: string;
    databaseBytes: number;
    largestIndexBytes: number;
    largeObjects: number;
  }>(`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "snapshotAt",
      pg_database_size(d.oid) AS "databaseBytes",
      (SELECT coalesce(max(relpages), 0)::int8 * current_setting('block_size')::int
        FROM pg_class WHERE relkind = 'i') AS "largestIndexBytes",
      (SELECT count(*) FROM pg_largeobject_metadata) AS "largeObjects"
    FROM pg_database d WHERE datname = current_database()`);
  const extensions = await query<{ name: string; version: string }>(
    'SELECT extname AS name, extversion AS version FROM pg_extension ORDER BY extname',
  );
  const facts = {
    ...database!,
    server: await readDatabaseRow(query),
    properties: await readProperties(query, name),
    extensions,
    migrationHead: (await appliedMigrations(query)).at(-1) ?? null,
    needs: await readNeeds(query),
  };
  const definitions = await readDefinitions(session);
  const sequences = await listSequences(query);
  const begun: Begun = { definitions, sequences, values: await lastValues(query, sequences) };
  return { facts, begun };
}

/**
 * Reads again, after the dump, what may have changed during it.
 * @returns the rest of the facts
 * @throws CommandError
 */
export async function completeFacts({ query }: Statements, { definitions, sequences, values }: Begun) {
  const after = await lastValues(query, sequences);
  const lasts = sequences.map(({ identity, cycle }, index) => {
    const [from, to] = [values[index]!, after[index]!];
    return [`sequence ${identity}`, from === to ? from : cycle ? ANY_VALUE : `${from}..${to}`];
  });
  return {
    definitions: packDefinitions({ ...definitions, 'value of': Object.fromEntries(lasts) }),
    behind: await sequencesBehind(query, sequences, values),
  };
}
