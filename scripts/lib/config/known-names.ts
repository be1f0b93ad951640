/** Names in an env file that no script reads, although they look as if one would. */
import { isKnown, NAMES } from './variables.ts';

/** What a variable was called in scripts that were used before, or is called in other programs, and what sets it here. */
const RETIRED: Record<string, string> = {
  RETENTION_DAYS: 'BACKUP_RETENTION_DAYS, and S3_RETENTION_DAYS for S3',
  BACKUP_RETENTION: 'BACKUP_RETENTION_DAYS',
  DB_NAME: 'POSTGRES_DB',
  DB_USER: 'POSTGRES_USER',
  DB_PASSWORD: 'POSTGRES_PASSWORD',
  DB_HOST: 'PGHOST, with an empty POSTGRES_CONTAINER',
  DB_PORT: 'PGPORT, with an empty POSTGRES_CONTAINER',
  DB_CONTAINER: 'POSTGRES_CONTAINER',
  PGDATABASE: 'POSTGRES_DB',
  PGPASSWORD: 'POSTGRES_PASSWORD',
  S3_BACKUP_BUCKET: 'S3_BUCKET',
  AWS_S3_BUCKET: 'S3_BUCKET',
  AWS_DEFAULT_REGION: 'AWS_REGION',
  AWS_ENDPOINT_URL: 'S3_ENDPOINT',
  AWS_ENDPOINT_URL_S3: 'S3_ENDPOINT',
  S3_REGION: 'AWS_REGION',
  S3_ACCESS_KEY: 'AWS_ACCESS_KEY_ID',
  S3_ACCESS_KEY_ID: 'AWS_ACCESS_KEY_ID',
  S3_SECRET_KEY: 'AWS_SECRET_ACCESS_KEY',
  S3_SECRET_ACCESS_KEY: 'AWS_SECRET_ACCESS_KEY',
};

/** A variable of an env file that is not in the table. */
export interface UnknownName {
  name: string;
  /** `retired` and `near`: it was meant for these scripts. `unknown`: it may be the application's. */
  kind: 'retired' | 'near' | 'unknown';
  /** What to set in its place. */
  instead?: string;
}

/** @returns the variables of a file that the table does not have, in the order of the file */
export function unknownNames(names: string[]): UnknownName[] {
  return names
    .filter(name => !isKnown(name))
    .map(name => {
      const retired = Object.hasOwn(RETIRED, name) ? RETIRED[name] : undefined;
      if (retired) return { name, kind: 'retired', instead: retired };
      const near = nearestName(name);
      return near ? { name, kind: 'near', instead: near } : { name, kind: 'unknown' };
    });
}

/** @returns the names of {@link unknownNames} that were not meant for these scripts, so far as a name tells it */
export function applicationNames(names: string[]): string[] {
  return unknownNames(names)
    .filter(({ kind }) => kind === 'unknown')
    .map(({ name }) => name);
}

/** @returns a sentence that says what to do about the name of a variable; undefined where it may be the application's */
export function misnamed({ name, kind, instead }: UnknownName): string | undefined {
  if (kind === 'unknown') return undefined;
  const means = kind === 'retired' ? `set ${instead}` : `is ${instead} meant?`;
  return `${name}: no script reads it; ${means}`;
}

/** @returns {@link misnamed} of each variable of a file that was meant for these scripts, and that none reads */
export function misnamedOf(names: string[]): string[] {
  return unknownNames(names).flatMap(each => misnamed(each) ?? []);
}

const plain = (name: string) => name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');

/**
 * @returns the name of the table that was probably meant: with another case or other separators, with one or two letters
 *   wrong (several that are as near: all of them), or with a word too many or too few at one end; undefined where there is none
 */
export function nearestName(name: string): string | undefined {
  const same = NAMES.filter(known => plain(known) === plain(name));
  if (same.length > 0) return same[0];
  const allowed = name.length < 6 ? 0 : name.length < 10 ? 1 : 2;
  const distances = NAMES.map(known => [known, editDistance(plain(known), plain(name))] as const);
  const least = Math.min(...distances.map(([, distance]) => distance));
  const nearest = distances.filter(([, distance]) => distance === least);
  if (least <= allowed) return nearest.map(([known]) => known).join(' or ');
  const words = name.toUpperCase().split('_');
  const within = NAMES.filter(
    known => isWithin(words, known.split('_')) || isWithin(known.split('_'), words),
  );
  return within.length === 1 ? within[0] : undefined;
}

/** @returns whether the longer name is the shorter one with one word before or after it; a single word is too common */
function isWithin(short: string[], long: string[]): boolean {
  if (long.length !== short.length + 1 || short.length < 2) return false;
  const text = short.join('_');
  return long.slice(1).join('_') === text || long.slice(0, -1).join('_') === text;
}

/** @returns the number of letters to add, leave out, replace or swap with the next one (optimal string alignment) */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, row) => [row]);
  for (let column = 1; column <= b.length; column++) rows[0]![column] = column;
  for (let row = 1; row <= a.length; row++) {
    for (let column = 1; column <= b.length; column++) {
      const above = rows[row - 1]!;
      const differs = a[row - 1] === b[column - 1] ? 0 : 1;
      let least = Math.min(above[column]! + 1, rows[row]![column - 1]! + 1, above[column - 1]! + differs);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        least = Math.min(least, rows[row - 2]![column - 2]! + 1);
      rows[row]![column] = least;
    }
  }
  return rows[a.length]![b.length]!;
}
