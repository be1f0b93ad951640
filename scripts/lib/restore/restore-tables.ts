import { findSource } from '../backup/find.ts';
import { describeSource } from '../backup/source.ts';
import type { Result } from '../cli/command.ts';
import { requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { again } from '../core/command-line.ts';
import { usageError } from '../core/errors.ts';
import { count, duration, stamp } from '../core/format.ts';
import { identifier } from '../postgres/client.ts';
import { chooseTables, quoted, tablesOf } from './choose-tables.ts';
import { type Copied, copyTables } from './copy-tables.ts';
import { foreignness } from './foreign.ts';
import { confirmed, type RestoreRequest } from './options.ts';
import { loadScratch } from './scratch.ts';

/**
 * Brings single tables of a backup into a new schema of the live database, and touches nothing else there. The whole
 * backup is loaded into a scratch database first, which proves it and works for every form of dump. The caller holds the
 * environment's lock.
 *
 * @throws exit code 2 for a table that is not in the backup, before anything is loaded; 3 for a missing or damaged backup
 */
export async function restoreTables(
  config: Config,
  request: RestoreRequest & { tables: string[] },
): Promise<Result> {
  const { postgres, environment } = config;
  const { wanted, from, yes, dryRun } = request;
  requireTerminal(yes || dryRun);
  const source = await findSource(config, wanted, from);
  if (!source.manifest)
    throw usageError(
      `${source.name} has no manifest, so its tables are not known`,
      `restore all of it into another database, and copy from there: \`${again('restore.ts', [wanted], ['--database', `${postgres.database}_copy`], '--table')}\`.`,
    );
  // As with --database, it may be a backup of another app or environment: it replaces nothing.
  const foreign = foreignness(config, source, { ...request, target: 'restored' });
  const tables = chooseTables(tablesOf(source.manifest), request.tables);
  const schema = `restored_${stamp(new Date())}`;
  const names = tables.map(quoted).join(', ');
  const plan = {
    question: `${foreign}${describeSource(source)}: ${names} → schema ${schema} of database ${postgres.database} of ${environment}. Nothing else changes.`,
    database: postgres.database,
    json: { source: source.name, schema, tables: tables.map(({ schema, name }) => ({ schema, name })) },
  };
  return confirmed(plan, request, async () => {
    let copied: Copied[] = [];
    const { total } = await loadScratch(
      config,
      'environment',
      async () => source,
      async scratch => {
        copied = await copyTables(postgres, scratch, tables, schema);
      },
    );
    const list = copied.map(table => `${quoted(table)} (${count(table.rows)} rows)`).join(', ');
    return {
      text: [
        `restored ${list} of ${source.name} into schema ${schema} of ${postgres.database} in ${duration(total)}`,
        'next: compare them with the live tables, then bring rows back, those that the live table lacks for example:',
        ...copied.map(({ insert }) => `  ${insert};`),
        `then: DROP SCHEMA ${identifier(schema)} CASCADE;`,
      ].join('\n'),
      json: { restored: source.name, schema, tables: copied, totalSeconds: total },
    };
  });
}
