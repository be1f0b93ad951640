/** Writes .env.example: npx node scripts/lib/config/env-example.ts > .env.example */
import { wrap } from '../core/format.ts';
import { COMPUTED } from './listing.ts';
import { directory, type Group, type Variable } from './types.ts';
import { GROUPS, SECRET } from './variables.ts';

const WIDTH = 118;

const COPY = 'Copy this file to .env.production or .env.staging, set its mode to 600, and fill it in. It is ';
const ABOUT =
  'for Compose and the scripts: the application’s own variables are in .env.<environment>.app, see .env.app.example. A script takes each variable ' +
  'from the first of these that has it: the process environment, .env.<environment>, the default. An empty value counts ' +
  'as not set, except for POSTGRES_CONTAINER and DATABASE_URL_OPTIONS. On a wrong value every script stops and lists all wrong values. ' +
  'Put values with $, #, quotes or spaces between single quotes. A line that Compose would read differently is a wrong value.';
const GENERATED = ' This file is generated: npx node scripts/lib/config/env-example.ts > .env.example';

const comment = (text: string) =>
  wrap(text, WIDTH - 2)
    .map(line => `# ${line}`)
    .join('\n');

function entry([name, variable]: [string, Variable], own: string | undefined): string {
  const { meaning, readBy, default: standard, type, emptyCounts } = variable;
  const facts = [
    standard && !own && `Default: ${standard}.`,
    SECRET.test(name) && 'Secret.',
    `Read by ${readBy}.`,
  ];
  // Compose and the scripts resolve a relative directory by rules of their own.
  const value = own ?? (type === directory ? '' : (standard ?? ''));
  return [
    comment(own ? meaning.replace(COMPUTED, '') : meaning),
    comment(facts.filter(Boolean).join(' ')),
    `${emptyCounts && !own ? '# ' : ''}${name}=${value}\n`,
  ].join('\n');
}

/** @returns the text of `.env.example` */
export const envExample = (): string => [comment(COPY + ABOUT + GENERATED) + '\n', ...entries({})].join('\n');

/**
 * @param values as they stand behind `NAME=`, see {@link quoted}
 * @returns the text of a new env file with these values: it explains each variable, and has no default of those that are set
 */
export const newEnvFile = (values: Record<string, string>): string =>
  [comment(`This file is ${ABOUT}`) + '\n', ...entries(values)].join('\n');

function entries(values: Record<string, string>): string[] {
  return Object.entries<Group>(GROUPS).map(([title, variables]) =>
    [
      `# ── ${title} `.padEnd(WIDTH, '─') + '\n',
      ...Object.entries(variables).map(each => entry(each, values[each[0]])),
    ].join('\n'),
  );
}

if (import.meta.main) process.stdout.write(envExample());
