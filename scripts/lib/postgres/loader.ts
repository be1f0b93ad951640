/** A role that lives for one load: it may do nothing but fill the new database, which it owns meanwhile. */
import { hash, randomBytes } from 'node:crypto';
import type { Postgres } from '../config/config.ts';
import { hideSecrets } from '../core/redact.ts';
import { identifier, literal } from './client.ts';
import { verifierOf } from './scram.ts';

/** Of all roles of loads; no other role has it. */
export const LOADER_PREFIX = '_loader_';

/** How long it may log in, if nothing removes it. A load of more than that fails. */
const VALID_HOURS = 24;

export interface Loader {
  name: string;
  /** How it connects. */
  postgres: Postgres;
  /** The statement that creates it: without the password, of which it has a verifier. */
  create: string;
}

/** Of names, because two names of 63 bytes make none of 63. */
const short = (name: string) => hash('sha256', name).slice(0, 12);

/**
 * @param database that is loaded, with the time of its name; or, without that time, all databases of these runs
 * @returns how the names of its roles begin
 */
export function loaderPrefix(database: string): string {
  const [, siblings = database, time] = /^(.*)_(\d{8}_\d{6})$/s.exec(database) ?? [];
  return `${LOADER_PREFIX}${short(siblings)}_${time ?? ''}`;
}

/** @returns the query for the roles of a database, as {@link loaderPrefix} takes it */
export const loadersSql = (database: string): string =>
  `SELECT rolname FROM pg_roles WHERE starts_with(rolname, ${literal(loaderPrefix(database))})`;

/** @returns a role that can load this database, not created yet */
export function newLoader(postgres: Postgres, database: string): Loader {
  const name = `${loaderPrefix(database)}_${randomBytes(4).toString('hex')}`;
  const password = randomBytes(24).toString('hex');
  hideSecrets([password]);
  const until = new Date(Date.now() + VALID_HOURS * 3_600_000).toISOString();
  // It reads what it loads whatever the policies say, as the owner of a dump's tables has to.
  const create = `CREATE ROLE ${identifier(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS
    PASSWORD ${literal(verifierOf(password, 1))} VALID UNTIL ${literal(until)}`;
  return { name, create, postgres: { ...postgres, user: name, password } };
}
