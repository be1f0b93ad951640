import { ENCODING, type Encoding } from './databases.ts';
import type { Query } from './query.ts';

/** What pg_database has about a database, except what is in `Properties`. */
interface DatabaseRow extends Encoding {
  /** Of the operating system or ICU; null where the provider has none. */
  collationVersion: string | null;
  tablespace: string;
  template: boolean;
  allowConnections: boolean;
}

/** @returns that row of the current database */
export async function readDatabaseRow(query: Query): Promise<DatabaseRow> {
  const [row] =
    await query<DatabaseRow>(`SELECT ${ENCODING}, to_jsonb(d) ->> 'datcollversion' AS "collationVersion",
      spcname AS tablespace, datistemplate AS template, datallowconn AS "allowConnections"
    FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = current_database()`);
  return row!;
}

const NAMES: Record<keyof DatabaseRow, string> = {
  encoding: 'encoding',
  collate: 'LC_COLLATE',
  ctype: 'LC_CTYPE',
  provider: 'locale provider',
  locale: 'locale',
  icuRules: 'ICU rules',
  collationVersion: 'collation version',
  tablespace: 'tablespace',
  template: 'template flag',
  allowConnections: 'flag to allow connections',
};

/** @returns a sentence for each value that is known of both and differs */
export function compareDatabaseRows(expected: Partial<DatabaseRow>, actual: DatabaseRow): string[] {
  return (Object.keys(NAMES) as (keyof DatabaseRow)[]).flatMap(key => {
    const wanted = expected[key];
    if (wanted === undefined || wanted === actual[key]) return [];
    const show = (value: unknown) => (value === null ? 'none' : String(value));
    return [`the ${NAMES[key]} of the database is ${show(actual[key])}, not ${show(wanted)}`];
  });
}
