/**
 * Compose replaces a container whose variables have changed. PostgreSQL's has the passwords with which it makes its roles on its first
 * start; when one is replaced later, the container keeps the first one, as `INITIAL_<name>`, and is not replaced with it.
 */
import type { Config } from './config.ts';
import { readEnvFile } from './env-file.ts';
import { partsOf } from './env-lines.ts';

const INITIAL = /^INITIAL_(POSTGRES|APP_DB|BACKUP_DB)_PASSWORD$/;

/**
 * @param names of passwords that get another value
 * @returns the variables that keep the present ones for the container, unless the file has them; none without a container
 */
export function initialPasswords({ envFile, postgres }: Config, names: string[]): Record<string, string> {
  if (!postgres.container) return {};
  const { values } = readEnvFile(envFile);
  const missing = names.filter(
    name => INITIAL.test(`INITIAL_${name}`) && values[`INITIAL_${name}`] === undefined,
  );
  return Object.fromEntries(missing.map(name => [`INITIAL_${name}`, values[name] ?? '']));
}

/** @returns the variables of an env file's text that only count for the container of an earlier start */
export const initialNames = (text: string): string[] =>
  partsOf(text).flatMap(({ kind, name }) => (kind === 'variable' && INITIAL.test(name ?? '') ? [name!] : []));

/** @returns the text of an env file without them: a new database gets the passwords that hold */
export const withoutInitial = (text: string): string =>
  partsOf(text)
    .filter(({ kind, name }) => kind !== 'variable' || !INITIAL.test(name ?? ''))
    .map(({ text: part }) => part)
    .join('');
