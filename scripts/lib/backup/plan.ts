/** Whether a backup can be made, and how large it becomes. */
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { diskOf } from '../core/machine.ts';
import { preflight } from '../core/preflight.ts';
import { disksOf, refuseShortage, reserveOf, type Use } from '../postgres/disk-space.ts';
import { pathsOf, readSpaceFacts, type SpaceFacts } from '../postgres/load-space.ts';
import { programVersions, type ServerFacts, serverFacts } from '../postgres/server.ts';
import { localBackups, newestFirst } from './catalog.ts';
import { checkBackupDirectory } from './directory.ts';
import { COMPRESS } from './dump-commands.ts';
import type { Format } from './manifest.ts';

export interface BackupPlan {
  server: ServerFacts;
  pgDump: string;
  compressor: string;
  /** The artifact's expected size in bytes. */
  estimate: number;
  /** Set where BACKUP_DIR is on a disk of PostgreSQL's: the dump is ended before the reserve there is used up. */
  shared: SpaceFacts | undefined;
}

/**
 * Checks whether a backup can be made. Changes nothing.
 * @param known facts that the caller has already read
 * @throws one OperationalError that lists all problems
 */
export async function planBackup(config: Config, format: Format, known?: ServerFacts): Promise<BackupPlan> {
  const { postgres } = config;
  const [{ server, pgDump, compressor, space }] = await preflight(
    async () => {
      const server = known ?? (await serverFacts(postgres));
      const compressor = COMPRESS[format][0]!;
      const [pgDump, version] = (await programVersions(postgres, 'pg_dump', compressor)) as [string, string];
      if (Number.parseInt(pgDump, 10) < server.major) {
        throw new OperationalError(
          `pg_dump ${pgDump} can't dump a server of version ${server.version}`,
          `install postgresql-client-${server.major}.`,
        );
      }
      const space = await readSpaceFacts(postgres, server, postgres.database);
      return { server, pgDump, compressor: `${compressor} ${version}`, space };
    },
    () => checkBackupDirectory(config),
  );
  const use = await useOfBackup(config, format, space);
  refuseShortage([use]);
  const shared = use.reserve === undefined ? undefined : space;
  return { server, pgDump, compressor, estimate: use.bytes, shared };
}

/** @returns what a backup will write to BACKUP_DIR: as much as the last one, and more if the database has grown since; without one a quarter of the database */
export async function useOfBackup(config: Config, format: Format, space: SpaceFacts): Promise<Use> {
  const { backupDir } = config;
  const last = newestFirst(await localBackups(config)).find(({ manifest }) => manifest.format === format);
  const growth = last && last.manifest.databaseBytes > 0 ? space.liveBytes / last.manifest.databaseBytes : 1;
  const bytes = Math.ceil(last ? last.bytes * Math.max(1, growth) : space.liveBytes / 4);
  const disk = await diskOf(backupDir);
  const reserve = await reserveAt(config, space);
  return { what: 'a backup', where: `BACKUP_DIR (${backupDir})`, disk, bytes, reserve };
}

/** @returns bytes that stay free on the disk of BACKUP_DIR; undefined where the live database does not write to it */
export async function reserveAt(
  { postgres, backupDir }: Config,
  space: SpaceFacts,
): Promise<number | undefined> {
  const { device, size } = await diskOf(backupDir);
  const disks = await disksOf(postgres, pathsOf(postgres, space));
  return disks.some(disk => disk.device === device) ? reserveOf(size, space.segment) : undefined;
}
