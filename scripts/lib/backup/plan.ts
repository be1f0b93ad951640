/** Whether a backup can be made, and how large it becomes. */
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { enoughSpace, freeSpace } from '../core/machine.ts';
import { preflight } from '../core/preflight.ts';
import { query } from '../postgres/client.ts';
import { programVersion, type ServerFacts, serverFacts } from '../postgres/server.ts';
import { localBackups, newestFirst } from './catalog.ts';
import { checkBackupDirectory } from './directory.ts';
import { COMPRESS } from './dump-commands.ts';
import type { Format } from './manifest.ts';

export interface BackupPlan {
  server: ServerFacts;
  pgDump: string;
  compressor: string;
  /** The artifact's expected size in bytes: that of the last backup, else a quarter of the database's. */
  estimate: number;
}

/**
 * Checks whether a backup can be made. Changes nothing.
 * @param known facts that the caller has already read
 * @throws one OperationalError that lists all problems
 */
export async function planBackup(config: Config, format: Format, known?: ServerFacts): Promise<BackupPlan> {
  const { postgres, backupDir } = config;
  const [{ server, pgDump, compressor, databaseBytes }] = await preflight(
    async () => {
      const server = known ?? (await serverFacts(postgres));
      const pgDump = await programVersion(postgres, 'pg_dump');
      if (Number.parseInt(pgDump, 10) < server.major) {
        throw new OperationalError(
          `pg_dump ${pgDump} can't dump a server of version ${server.version}`,
          `install postgresql-client-${server.major}.`,
        );
      }
      const compressor = COMPRESS[format][0]!;
      const version = await programVersion(postgres, compressor);
      const sql = 'SELECT pg_database_size(current_database()) AS bytes';
      const [database] = await query<{ bytes: number }>(postgres, postgres.database, sql);
      return { server, pgDump, compressor: `${compressor} ${version}`, databaseBytes: database!.bytes };
    },
    () => checkBackupDirectory(config),
  );
  const last = newestFirst(await localBackups(config)).find(({ manifest }) => manifest.format === format);
  const estimate = last ? last.bytes : Math.ceil(databaseBytes / 4);
  enoughSpace(`BACKUP_DIR (${backupDir})`, await freeSpace(backupDir), Math.ceil(estimate * 1.2));
  return { server, pgDump, compressor, estimate };
}
