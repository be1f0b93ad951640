import * as v from 'valibot';
import { application } from './application-variables.ts';
import { backup, objectives } from './backup-variables.ts';
import { postgres } from './database-variables.ts';
import { directories, notifications, schedule } from './operation-variables.ts';
import { offsite } from './s3-variables.ts';
import * as stack from './stack-variables.ts';
import { cron, type Variable } from './types.ts';

/** All variables, by group, in the order of `.env.example`. */
export const GROUPS = {
  'The product': stack.product,
  PostgreSQL: postgres,
  'The stack': stack.stack,
  'The certificate': stack.certificates,
  'The application': application,
  'Backups on this server': backup,
  'Backups off-site, in S3': offsite,
  'Recovery objectives': objectives,
  Deployment: stack.deployment,
  Notifications: notifications,
  Schedule: schedule,
  'Directories that scripts write to': directories,
};

type Union = (typeof GROUPS)[keyof typeof GROUPS];
type Names<G> = G extends unknown ? keyof G : never;
type Of<N, G = Union> = G extends unknown ? (N extends keyof G ? G[N] : never) : never;
type Value<V> = V extends { type: infer T extends v.GenericSchema }
  ? v.InferOutput<T> | (V extends { default: string } ? never : undefined)
  : never;

/** The values of all variables that scripts read. */
export type Variables = { [N in Names<Union> as Of<N> extends { type: unknown } ? N : never]: Value<Of<N>> };

const ALL = Object.entries<Variable>(Object.assign({}, ...Object.values(GROUPS)));
const READ = ALL.filter(([, { type }]) => type);

/** The names of all variables of the table. */
export const NAMES: string[] = ALL.map(([name]) => name);

const KNOWN = new Set(NAMES);
/** Compose's and Docker's own: https://docs.docker.com/compose/how-tos/environment-variables/envvars/ */
const TOOLS = /^(COMPOSE|DOCKER|BUILDX|BUILDKIT)_/;

/** @returns whether a variable of `.env.<environment>` is of the stack or its scripts; others are the application's */
export function isKnown(name: string): boolean {
  return KNOWN.has(name) || TOOLS.test(name);
}

/** The names of all variables that scripts read. */
export const VARIABLES: string[] = READ.map(([name]) => name);

/**
 * Names whose values are hidden in all output: secrets, and addresses that contain one. A rule and not a property of the
 * table, because it holds for the application's own variables, too.
 */
export const SECRET =
  /(PASSWORD|PASS|PWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS|_SALT|_KEY|_KEY_ID|_PREVIOUS|_DSN|WEBHOOK_URL|PING_URL|DATABASE_URL|REDIS_URL)$/;

/** A password before the host of a URL. */
const LOGIN = /^[a-z][a-z\d+.-]*:\/\/[^\s/?#]*@/i;

/** @returns the values that are hidden: of names that say so, and URLs with a login */
export function secretsOf(values: Record<string, string | undefined>): string[] {
  return Object.entries(values)
    .filter(([name, value]) => value && (SECRET.test(name) || LOGIN.test(value)))
    .map(([, value]) => value!);
}

/**
 * @param given the file's and the process's variables; an empty value counts as not set
 * @returns the value of each variable that scripts read, and a line for each that is wrong, which never shows its value
 */
export function readVariables(given: Record<string, string | undefined>): {
  values: Variables;
  problems: string[];
} {
  const problems: string[] = [];
  const values = READ.map(([name, { type, default: standard, emptyCounts }]) => {
    const value = (emptyCounts ? given[name] : given[name] || undefined) ?? standard;
    // To check the default schedules would load the parser of cron expressions at the start of every script.
    if (value === undefined || (type === cron && value === standard)) return [name, value];
    const { output, issues } = v.safeParse(type!, value);
    if (issues) problems.push(`${name}: ${issues[0].message}`);
    return [name, output];
  });
  return { values: Object.fromEntries(values), problems };
}
