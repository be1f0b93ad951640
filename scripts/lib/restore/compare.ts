import type { Manifest } from '../backup/manifest.ts';
import type { Postgres } from '../config/config.ts';
import { verificationError } from '../core/errors.ts';
import { count, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { compareRows, countRows, totalRows } from '../postgres/row-counts.ts';
import { openSession } from '../postgres/session.ts';

/** Counts in one session, which is closed before the database is renamed. */
async function countContent(postgres: Postgres, name: string) {
  const session = openSession(postgres, name);
  try {
    const tables = await countRows(session.query);
    const [row] = await session.query<{ count: number }>('SELECT count(*) FROM pg_largeobject_metadata');
    return { tables, objects: row!.count };
  } finally {
    await session.close();
  }
}

/**
 * Compares a loaded database with its backup's manifest. Without one, it warns that nothing is compared.
 * @throws exit code 3 where they differ
 */
export async function compareWithManifest(
  postgres: Postgres,
  manifest: Manifest | null,
  name: string,
): Promise<void> {
  const { tables, objects } = await countContent(postgres, name);
  const summary = `${count(totalRows(tables))} rows in ${plural(tables.length, 'table')}`;
  if (!manifest) {
    log.warn(`loaded ${summary}; not compared, because there is no manifest`);
    return;
  }
  const differences = compareRows(manifest.tables, tables);
  if (objects !== manifest.largeObjects) {
    differences.push(`there are ${objects} large objects, not ${manifest.largeObjects}`);
  }
  if (differences.length > 0) {
    const shown = differences.slice(0, 10).map(difference => `\n  ${difference}`);
    throw verificationError(
      `the loaded data is not the data of the backup (${plural(differences.length, 'difference')}):${shown.join('')}`,
      'the live database is unchanged. Restore another backup: list-backups.ts shows them.',
    );
  }
  log.done(`compared with the backup: ${summary}`);
}
