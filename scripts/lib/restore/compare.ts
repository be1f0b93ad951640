import type { Manifest } from '../backup/manifest.ts';
import { unpackDefinitions } from '../backup/packed-definitions.ts';
import type { Postgres } from '../config/config.ts';
import { again } from '../core/command-line.ts';
import { verificationError } from '../core/errors.ts';
import { count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import {
  compareDefinitions,
  type Difference,
  dependsOnVersion,
  OWNERSHIP,
} from '../postgres/compare-definitions.ts';
import { compareDatabaseRows, readDatabaseRow } from '../postgres/database-row.ts';
import { readDefinitions } from '../postgres/definitions.ts';
import { compareRows, countRows, totalRows } from '../postgres/row-counts.ts';
import { lastValues, listSequences, sequencesBehind } from '../postgres/sequences.ts';
import { openSession, type Session } from '../postgres/session.ts';

/** A version of an extension is the server's; a subscription is for an operator to create, when its publisher is ready. */
const NEVER_REFUSED = ['version of', 'subscription'];

/** A new database is a copy of template0, where a provider may have put such objects. They take nothing from the backup. */
const FROM_TEMPLATE =
  /^(schema|extension|type|domain|function|procedure|aggregate|operator( class| family)?|cast|collation|language|foreign data wrapper|event trigger|query of)$/;

const SHOWN = 20;

/** What is read from the rows themselves. */
type Rows = Awaited<ReturnType<typeof readRows>>;

/** Reads them in a session whose rights the functions of a dump may have: the planner runs those of indexes. */
export async function readRows(session: Session) {
  const tables = await countRows(session);
  const sequences = await listSequences(session.query);
  const values = await lastValues(session.query, sequences);
  const behind = await sequencesBehind(session.query, sequences, values);
  const lastValue = Object.fromEntries(
    sequences.map(({ identity }, index) => [`sequence ${identity}`, values[index]!]),
  );
  return { tables, lastValue, behind };
}

/** Reads in one session, which is closed before the database is renamed. */
async function readContent(postgres: Postgres, name: string, settings: string, known?: Rows) {
  await using session = openSession(postgres, name, settings);
  const { query } = session;
  const { tables, lastValue, behind } = known ?? (await readRows(session));
  const [row] = await query<{ count: number; major: number }>(
    `SELECT count(*), current_setting('server_version_num')::int / 10000 AS major FROM pg_largeobject_metadata`,
  );
  const database = await readDatabaseRow(query);
  const definitions = await readDefinitions(session);
  definitions['value of'] = lastValue;
  return { tables, objects: row!.count, major: row!.major, database, definitions, behind };
}

type Content = Awaited<ReturnType<typeof readContent>>;

interface Tolerance {
  /** Of the sessions that look, as `-c name=value`. */
  settings?: string;
  /** Whether differences of a kind of definitions, as {@link Difference} names it, are warnings. */
  accepts?: (kind: string) => boolean;
  /** The same, if errors are accepted. */
  couldAccept?: (kind: string) => boolean;
}

/**
 * Compares a loaded database with its backup's manifest: rows, definitions, sequences. Without one, it warns that nothing
 * is compared.
 *
 * @param known the rows, if they were read before
 * @returns how many rows there are
 * @throws exit code 3 where they differ
 */
export async function compareWithManifest(
  postgres: Postgres,
  manifest: Manifest | null,
  name: string,
  { settings = '', accepts = () => false, couldAccept = accepts }: Tolerance = {},
  known?: Rows,
): Promise<number> {
  const content = await readContent(postgres, name, settings, known);
  const { tables, objects } = content;
  const summary = `${count(totalRows(tables))} rows in ${plural(tables.length, 'table')}`;
  for (const sentence of content.behind) log.warn(sentence);
  if (!manifest) {
    log.warn(`loaded ${summary}; not compared, because there is no manifest`);
    return totalRows(tables);
  }
  const differences = compareRows(manifest.tables, tables);
  if (objects !== manifest.largeObjects) {
    differences.push(`there are ${objects} large objects, not ${manifest.largeObjects}`);
  }
  const { refused, tolerated, ofVersion } = judge(
    differencesOf(manifest, content),
    manifest,
    content,
    accepts,
  );
  const isAcceptable = differences.length === 0 && refused.every(({ kind }) => couldAccept(kind));
  differences.push(...refused.map(({ message }) => message));
  if (differences.length > 0) {
    const what = isAcceptable
      ? 'the rows are those of the backup, but not all definitions'
      : 'the loaded data is not the data of the backup';
    throw verificationError(
      `${what} (${plural(differences.length, 'difference')}):${listed(differences)}`,
      isAcceptable
        ? `the live database is unchanged. \`${again('restore.ts', [manifest.id], ['--accept-errors'])}\` restores with these differences.`
        : 'the live database is unchanged. Restore another backup: ./scripts/list-backups.ts shows them.',
    );
  }
  tolerated.unshift(...compareDatabaseRows(manifest.server, content.database));
  if (tolerated.length > 0)
    log.warn(
      `restored, but not all is as in the backup (${plural(tolerated.length, 'difference')}):${listed(tolerated)}`,
    );
  if (ofVersion.length > 0)
    log.warn(
      `not compared, because PostgreSQL ${content.major} prints definitions in another way than ${majorOf(manifest)}:${listed(ofVersion)}`,
    );
  log.done(`compared with the backup: ${summary}${manifest.definitions === null ? '' : ', all definitions'}`);
  return totalRows(tables);
}

const majorOf = ({ server }: Manifest) => Number.parseInt(server.version, 10);

/** Sorts differences of definitions, as sentences: what refuses the restore, what only warns, what another version explains. */
function judge(
  differences: Difference[],
  manifest: Manifest,
  { major }: Content,
  accepts: (kind: string) => boolean,
) {
  const refused: Difference[] = [];
  const tolerated: string[] = [];
  const ofVersion: string[] = [];
  for (const difference of differences) {
    const { kind, identity, problem, message } = difference;
    if (major !== majorOf(manifest) && dependsOnVersion(difference)) ofVersion.push(`${kind} ${identity}`);
    else if (NEVER_REFUSED.includes(kind) || accepts(kind)) tolerated.push(message);
    else if (problem === 'unexpected' && FROM_TEMPLATE.test(kind)) tolerated.push(message);
    else refused.push(difference);
  }
  return { refused, tolerated, ofVersion };
}

function differencesOf(manifest: Manifest, content: Content): Difference[] {
  if (manifest.definitions === null) {
    log.warn('definitions are not compared: an older version of these scripts made the backup');
    return [];
  }
  const without = manifest.needs ? [] : OWNERSHIP;
  if (!manifest.needs)
    log.info('owners and privileges are not compared, because the backup does not hold them');
  return compareDefinitions(unpackDefinitions(manifest.definitions), content.definitions, without);
}

function listed(sentences: string[]): string {
  const shown = sentences.slice(0, SHOWN).map(sentence => `\n  ${sentence}`);
  const more = sentences.length - shown.length;
  return shown.join('') + (more > 0 ? `\n  and ${count(more)} more` : '');
}
