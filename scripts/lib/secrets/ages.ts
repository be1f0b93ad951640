/** Since when each secret is in use: `.env.<environment>.ages`, beside the file that has the values. */
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import type { Config } from '../config/config.ts';
import { writeEnvFile } from '../config/env-file.ts';
import { log } from '../core/log.ts';
import { ownSecrets, type Secret, type Values, valuesHere } from './kinds.ts';

const entry = v.object({
  since: v.pipe(v.string(), v.isoTimestamp()),
  /** It was in use before `since`, nobody knows for how long. */
  older: v.optional(v.boolean()),
  /** Tells another value from this one, and is no help to find it: the file has the mode of the values themselves. */
  print: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
});
const stored = v.pipe(v.string(), v.parseJson(), v.record(v.string(), entry));
type Ages = v.InferOutput<typeof stored>;

const DAY = 86_400_000;

export const agesFileOf = (envFile: string): string => `${envFile}.ages`;

/** @returns 16 hexadecimal digits that another value does not have */
export const printOf = (name: string, value: string): string =>
  createHmac('sha256', name).update(value).digest('hex').slice(0, 16);

function readAges({ envFile }: Config): Ages {
  const path = agesFileOf(envFile);
  if (!existsSync(path)) return {};
  const parsed = v.safeParse(stored, readFileSync(path, 'utf8'));
  if (parsed.success) return parsed.output;
  log.warn(`${path} is damaged; the ages in it are not used`);
  return {};
}

/** A secret of our own, and how old its value is. */
export interface Aged extends Secret {
  /** Whole days in use; null: not known, or it has no value. */
  age: number | null;
  /** The value was in use before that. */
  older: boolean;
  /** As many days as the policy allows, or more. */
  due: boolean;
  state: 'noted' | 'not noted' | 'changed by hand' | 'empty';
}

/**
 * @param now default: this moment
 * @returns each secret of our own with its age
 * @throws a usage error where an env file can't be read
 */
export function agedSecrets(config: Config, now = Date.now()): Aged[] {
  const values = valuesHere(config);
  const ages = readAges(config);
  return ownSecrets(Object.keys(values.app)).map(secret => {
    const value = values[secret.file][secret.name];
    const noted = ages[secret.name];
    const unknown = { ...secret, age: null, older: false, due: false };
    if (!value) return { ...unknown, state: 'empty' };
    if (!noted) return { ...unknown, state: 'not noted' };
    if (noted.print !== printOf(secret.name, value)) return { ...unknown, state: 'changed by hand' };
    const age = Math.max(0, Math.floor((now - Date.parse(noted.since)) / DAY));
    return { ...secret, age, older: noted.older === true, due: age >= secret.days, state: 'noted' };
  });
}

/**
 * Notes since when the values are in use: those of `made` from now on, those that were not noted yet as older than that.
 * @throws OperationalError where the file can't be written
 */
export async function noteAges(config: Config, made: string[], values: Values = valuesHere(config)) {
  const { envFile } = config;
  const before = readAges(config);
  const since = new Date().toISOString();
  const after: Ages = {};
  for (const { name, file } of ownSecrets(Object.keys(values.app))) {
    const value = values[file][name];
    if (!value) continue;
    const print = printOf(name, value);
    if (made.includes(name)) after[name] = { since, print };
    else after[name] = before[name]?.print === print ? before[name] : { since, older: true, print };
  }
  const text = `${JSON.stringify(after, null, 2)}\n`;
  const path = agesFileOf(envFile);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  await writeEnvFile(path, text, envFile);
}

/** @returns whether only its owner can read the file; true where there is none */
export const isPrivate = (path: string): boolean =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) === 0;
