/** Compares what a dump needs with what this server has, before anything changes. Roles: missing-roles.ts. */

import type { Without } from '../backup/dump-commands.ts';
import type { Source } from '../backup/source.ts';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { identifier } from '../postgres/client.ts';
import { maintenanceOf } from '../postgres/databases.ts';
import type { Needs } from '../postgres/needs.ts';
import { query } from '../postgres/query.ts';
import type { ServerFacts } from '../postgres/server.ts';
import type { Requirements } from './dump-needs.ts';
import type { Globals } from './globals.ts';

export interface RequirementFacts {
  /** `onlySuperuser`: neither trusted nor for everyone. */
  extensions: { name: string; onlySuperuser: boolean }[];
  tablespaces: { name: string; usable: boolean }[];
  collations: string[];
  walLevel: string;
  /** From where pg_cron runs jobs; null: this server does not load it. */
  cronDatabase: string | null;
  /** The provider decides who may create what, by settings of its own. */
  isManaged: boolean;
}

/* What is asked for in one query of the maintenance database. */
const FACTS = `SELECT
  (SELECT coalesce(json_agg(json_build_object('name', a.name, 'onlySuperuser', superuser AND NOT trusted)), '[]')
    FROM pg_available_extensions a JOIN pg_available_extension_versions v
      ON v.name = a.name AND v.version = a.default_version) AS extensions,
  (SELECT json_agg(json_build_object('name', spcname, 'usable', has_tablespace_privilege(oid, 'CREATE')))
    FROM pg_tablespace) AS tablespaces,
  ARRAY(SELECT collname FROM pg_collation WHERE collnamespace = 'pg_catalog'::regnamespace) AS collations,
  current_setting('wal_level') AS "walLevel",
  (SELECT setting FROM pg_settings WHERE name = 'cron.database_name') AS "cronDatabase",
  EXISTS (SELECT FROM pg_settings WHERE name ~ '^(rds|azure|cloudsql|extwlist|supautils|neon)\\.') AS "isManaged"`;

/** @returns what a restore compares its needs with */
export async function readRequirementFacts(postgres: Postgres): Promise<RequirementFacts> {
  const [facts] = await query<RequirementFacts>(postgres, maintenanceOf(postgres), FACTS);
  return facts!;
}

/**
 * @param isBare whether the database gets its owner and settings from the manifest
 * @returns the roles that a restore needs, without those that it leaves out
 */
export function neededRoles(
  needs: Requirements,
  { manifest }: Source,
  isBare: boolean,
  without: Without,
): Needs['roles'] {
  const roles = new Map(needs.roles.map(role => [role.name, role]));
  if (isBare && manifest) {
    const { name, uses, cannotCreateIn } = roles.get(manifest.properties.owner) ?? {
      name: manifest.properties.owner,
      uses: [],
      cannotCreateIn: [],
    };
    roles.set(name, { name, uses: [...new Set([...uses, 'owner' as const])], cannotCreateIn });
  }
  const isNeeded = (use: string) => !without.owners || ['policy', 'mapping'].includes(use);
  return [...roles.values()]
    .map(role => ({ ...role, uses: role.uses.filter(isNeeded) }))
    .filter(({ uses }) => uses.length > 0);
}

/**
 * @param database into which the dump is loaded
 * @returns checks for a preflight; each throws an OperationalError that lists all that is missing of one kind
 */
export function requirementChecks(
  postgres: Postgres,
  server: ServerFacts,
  facts: RequirementFacts,
  needs: Requirements,
  database: string,
  {
    withoutTablespaces,
    globals,
    hasManifest,
  }: { withoutTablespaces?: boolean; globals?: Globals; hasManifest?: boolean } = {},
): (() => Promise<void>)[] {
  const who = identifier(postgres.user);
  const known = new Map(facts.extensions.map(each => [each.name, each]));
  const missing = needs.extensions.filter(name => !known.has(name));
  const forSuperusers = server.superuser
    ? []
    : [
        ...needs.extensions
          .filter(name => known.get(name)?.onlySuperuser)
          .map(name => `extension ${identifier(name)}`),
        ...needs.superuser,
      ];
  if (needs.publications.length > 0 && facts.walLevel !== 'logical') {
    log.warn(
      `the backup has publications (${needs.publications.join(', ')}), and wal_level is ${facts.walLevel} here: they publish nothing until it is logical`,
    );
  }
  return [
    async () => {
      if (missing.length === 0) return;
      throw new OperationalError(
        `extensions are not installed on this server: ${missing.join(', ')}`,
        'install their packages on the server, or use an image of PostgreSQL that has them.',
      );
    },
    async () => {
      const cron = facts.cronDatabase;
      if (!needs.extensions.includes('pg_cron') || missing.includes('pg_cron')) return;
      if (cron === null)
        throw new OperationalError(
          'this server does not load pg_cron, which the backup has',
          `add pg_cron to shared_preload_libraries, set cron.database_name to '${database}', and restart PostgreSQL.`,
        );
      if (!hasManifest)
        throw new OperationalError(
          `pg_cron can be created only in database ${cron}, and a restore loads into another one`,
          'take pg_cron and its rows (cron.job) out of the dump.',
        );
      if (cron !== database)
        log.warn(
          `the jobs of pg_cron do not run in ${database}: this server runs those in ${cron} (cron.database_name)`,
        );
    },
    async () => {
      if (forSuperusers.length === 0) return;
      const problem = `only a superuser may create: ${forSuperusers.join(', ')}`;
      if (facts.isManaged) return log.warn(`${problem}, unless the provider of this server allows it`);
      throw new OperationalError(
        `${problem}; ${who} is not one`,
        'restore with a superuser as POSTGRES_USER.',
      );
    },
    async () => refuseTablespaces(withoutTablespaces ? [] : needs.tablespaces, facts, who, globals),
    async () => {
      const absent = needs.collations.filter(name => !facts.collations.includes(name));
      if (absent.length === 0) return;
      throw new OperationalError(
        `collations are missing on this server: ${absent.join(', ')}`,
        `install the locales, then run as a superuser SELECT pg_import_system_collations('pg_catalog') in template1 and template0; collations that end in -icu need a PostgreSQL built with ICU.`,
      );
    },
  ];
}

function refuseTablespaces(
  needed: string[],
  { tablespaces }: RequirementFacts,
  who: string,
  globals: Globals | undefined,
): void {
  const found = new Map(tablespaces.map(each => [each.name, each]));
  const absent = needed.filter(name => !found.has(name));
  const denied = needed.filter(name => found.get(name)?.usable === false);
  if (absent.length + denied.length === 0) return;
  const problems = [
    ...(absent.length > 0 ? [`tablespaces are missing on this server: ${absent.join(', ')}`] : []),
    ...(denied.length > 0 ? [`${who} may not create in tablespaces: ${denied.join(', ')}`] : []),
  ];
  const statements = [
    ...absent.map(
      name =>
        globals?.tablespaces.get(name) ??
        `CREATE TABLESPACE ${identifier(name)} LOCATION '/an/empty/directory/of/postgres';`,
    ),
    ...denied.map(name => `GRANT CREATE ON TABLESPACE ${identifier(name)} TO ${who};`),
  ];
  throw new OperationalError(
    problems.join('; '),
    `run as a superuser:${statements.map(each => `\n      ${each}`).join('')}\n    or put everything into the default one: --no-tablespaces.`,
  );
}
