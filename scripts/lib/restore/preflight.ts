import type { Without } from '../backup/dump-commands.ts';
import type { LocalSource } from '../backup/fetch.ts';
import { useOfBackup } from '../backup/plan.ts';
import type { Source } from '../backup/source.ts';
import type { Config, Postgres } from '../config/config.ts';
import { OperationalError, usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { maintenanceOf, oidOf } from '../postgres/databases.ts';
import { refuseShortage } from '../postgres/disk-space.ts';
import { type SpaceFacts, usesOfLoad } from '../postgres/load-space.ts';
import { programVersion, programVersions, type ServerFacts } from '../postgres/server.ts';
import { preparedTransactions, refusePrepared } from '../postgres/swap.ts';
import { requirementsOf, type Scan } from './dump-scan.ts';
import { loadSizeOf } from './load-size.ts';
import { compareRoles, type Roles, readRoles, refuseRoles } from './missing-roles.ts';
import { neededRoles, readRequirementFacts, requirementChecks } from './requirements.ts';

/*
 * Since these minor versions psql knows \restrict:
 * https://www.postgresql.org/support/security/CVE-2025-8714/
 */
const RESTRICT_SINCE: Record<number, number> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

/** @returns whether psql of this version knows \restrict */
export function knowsRestrict(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major >= 18 || minor >= (RESTRICT_SINCE[major] ?? Number.POSITIVE_INFINITY);
}

interface Options {
  replace?: boolean;
  without?: Without;
  isDrill?: boolean;
  /** Of the source, if there is one. */
  scan?: Scan | undefined;
}

/**
 * Checks whether a source can be restored into database `target`: versions, name, disk space, prepared transactions,
 * roles, extensions, tablespaces, collations. Changes nothing.
 *
 * @param replace whether `target` may exist
 * @param isDrill no role is created, and owners and privileges are left out where this server has no such roles
 * @returns whether `target` does not exist yet, the roles that are to be created first, and what is left out
 * @throws one OperationalError that lists all problems
 */
export async function refuseImpossible(
  config: Config,
  source: LocalSource,
  server: ServerFacts,
  space: SpaceFacts,
  target: string,
  { replace = false, isDrill = false, ...options }: Options = {},
): Promise<{ databaseMissing: boolean; roles: Roles; without: Without }> {
  const { postgres } = config;
  const needs = await requirementsOf(postgres, source, options.scan);
  const [oid, liveOid, here, facts, prepared] = await Promise.all([
    oidOf(postgres, target),
    oidOf(postgres, postgres.database),
    readRoles(postgres, server),
    readRequirementFacts(postgres),
    preparedTransactions(postgres, target),
  ]);
  const databaseMissing = oid === undefined;
  const isBare = liveOid === undefined;
  const compare = (without: Without) =>
    compareRoles(here, source, neededRoles(needs, source, isBare, without), isDrill);
  let without = options.without ?? {};
  let roles = await compare(without);
  if (isDrill && roles.plan.problems.length > 0) {
    log.warn(
      `the drill leaves out owners and privileges: ${roles.plan.problems.map(({ text }) => text).join('; ')}`,
    );
    without = { ...without, owners: true };
    roles = await compare(without);
  }
  await preflight(
    async () => refuseRoles(roles.plan, postgres.user, !without.owners),
    ...requirementChecks(postgres, server, facts, needs, target, {
      withoutTablespaces: without.tablespaces,
      globals: roles.globals,
      hasManifest: source.manifest !== null,
    }),
    async () => source.format === 'plain' && (await refuseUnrestricted(postgres)),
    async () => {
      if (target === maintenanceOf(postgres))
        throw usageError(
          `the scripts connect to ${target} to rename databases, so it can't be renamed itself`,
          'set POSTGRES_MAINTENANCE_DB to another database, such as template1.',
        );
      if (databaseMissing) return;
      if (!replace) throw usageError(`database ${target} already exists`, 'give --database another name.');
      refusePrepared(target, prepared);
    },
    async () => {
      const uses = await usesOfLoad(postgres, space, loadSizeOf(postgres, source));
      if (uses.length === 0)
        log.info('disk space is not checked: the disk of PostgreSQL is not visible from here');
      const [data] = uses;
      if (data && !isDrill) uses.push({ ...data, what: 'leftovers', bytes: -space.leftBytes }); // dropped first
      if (replace && !databaseMissing) uses.push(await useOfBackup(config, config.format, space));
      refuseShortage(uses);
    },
  );
  return { databaseMissing, roles, without };
}

/**
 * Refuses a backup of a later version than the server's or pg_restore's. Call it before the backup is fetched and
 * checked: to an older pg_restore it looks damaged.
 *
 * @throws exit code 1 with the version that is needed
 */
export async function refuseLaterBackup(
  postgres: Postgres,
  server: ServerFacts,
  { manifest, format }: Source,
): Promise<void> {
  if (!manifest) return;
  const major = Number.parseInt(manifest.server.version, 10);
  if (major > server.major) {
    throw new OperationalError(
      `${manifest.id} is a backup of PostgreSQL ${manifest.server.version}; this server is ${server.version}`,
      `restore into a server of version ${major} or later.`,
    );
  }
  if (format === 'plain') return;
  const version = await programVersion(postgres, 'pg_restore');
  if (Number.parseInt(version, 10) < Number.parseInt(manifest.tools.pgDump, 10)) {
    throw new OperationalError(
      `pg_restore ${version} can't read a dump of pg_dump ${manifest.tools.pgDump}`,
      `update PostgreSQL’s client programs to ${manifest.tools.pgDump} or later.`,
    );
  }
}

/** A plain dump is loaded with psql's own commands refused, whatever made it. */
async function refuseUnrestricted(postgres: Postgres): Promise<void> {
  const [version] = (await programVersions(postgres, 'psql', 'prlimit')) as [string, string];
  if (!knowsRestrict(version)) {
    throw new OperationalError(
      `psql ${version} can't refuse psql commands in a dump: it does not know \\restrict`,
      'update PostgreSQL’s client programs to 13.22, 14.19, 15.14, 16.10, 17.6 or later.',
    );
  }
}
