/** What is wrong with the values themselves. */
import { basename } from 'node:path';
import { type Config, ENVIRONMENTS } from '../../config/config.ts';
import { neededByCompose } from '../../config/listing.ts';
import { SECRET } from '../../config/variables.ts';
import { isOfApplication, ownSecrets, secretValues, type Values, valuesHere, valuesThere } from '../kinds.ts';
import type { Finding } from './finding.ts';

/** Characters of the shortest secret of our own that is not called weak; of random letters and digits that is 160 bits. */
const SHORTEST = 32;
/** Different characters of one; 64 random hexadecimal digits have 16. */
const FEWEST = 10;

const PLACEHOLDER = new RegExp(
  [
    '^(?:<.*>|\\[.*\\]|\\{\\{.*\\}\\}|\\$\\{.*\\}|x{3,}|\\*{3,}|\\.{3,}|…|-+)$',
    '^(?:to-?do|tbd|fix-?me|none|null|undefined|dummy|test|default|password|passw0rd|secret|admin|root|postgres|redis|letmein)[\\d!.]*$',
    '^(?:your|my|insert|enter|paste|put)[-_ ]',
    '(?:change|replace)[-_ ]?(?:me|this|it|with)|place[-_ ]?holder|example|your[-_ ](?:secret|password|key|token)|super[-_ ]?secret|^qwerty|^12345',
  ].join('|'),
  'i',
);

/** @returns whether a value stands for one that somebody was to put there */
export const isPlaceholder = (value: string): boolean => PLACEHOLDER.test(value.trim());

/** @returns why a value that is to be random is not; undefined: nothing shows that it is not */
export function weaknessOf(value: string): string | undefined {
  if (value.length < SHORTEST) return `has ${value.length} characters`;
  if (new Set(value).size < FEWEST) return `has ${new Set(value).size} different characters`;
  if (/^(.+?)\1+$/s.test(value)) return 'repeats itself';
  const steps = [...value].slice(1).map((each, at) => each.charCodeAt(0) - value.charCodeAt(at));
  const near = steps.filter(step => Math.abs(step) <= 1).length;
  return near > steps.length / 2 ? 'is a sequence of neighbouring characters' : undefined;
}

/** @returns what is missing, stands for a value, is weak, or is used twice */
export function valueFindings(config: Config): Finding[] {
  const { environment } = config;
  const here = valuesHere(config);
  const other = ENVIRONMENTS.find(name => name !== environment)!;
  return [
    ...missingOf(config, here),
    ...placeholdersOf(config, here),
    ...weakOf(config, here),
    ...sameOf(config, here, valuesThere(other), other),
    ...twiceOf(config, here),
  ];
}

const GENERATE = './scripts/secrets.ts generate';

function missingOf({ environment, envFile, appFile, images }: Config, { env, app }: Values): Finding[] {
  const isManaged = env.POSTGRES_CONTAINER === '';
  const isOurs = (name: string) => SECRET.test(name) && !(isManaged && name === 'POSTGRES_PASSWORD');
  const needed = neededByCompose(environment).filter(name => isOurs(name) && !env[name]);
  const roles = ['APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD'].filter(name => !isManaged && !env[name]);
  const unset = Object.keys(app).filter(name => isOfApplication(name) && app[name] === '');
  return [
    // A server for backups only has no stack.
    ...needed.map(name =>
      finding(
        'missing',
        images ? 'fault' : 'warning',
        `${name} is empty in ${basename(envFile)}`,
        `${GENERATE} makes it.`,
      ),
    ),
    ...roles.map(name =>
      finding(
        'missing',
        'warning',
        `${name} is empty: what should use that role connects as a superuser`,
        './scripts/database-roles.ts makes the role and its password.',
      ),
    ),
    ...unset.map(name =>
      finding('missing', 'fault', `${name} is empty in ${basename(appFile)}`, `${GENERATE} makes it.`),
    ),
  ];
}

function placeholdersOf(config: Config, here: Values): Finding[] {
  const found = [...secretValues(here)].filter(([, value]) => isPlaceholder(value));
  return found.map(([name]) =>
    finding(
      'placeholder',
      'fault',
      `${name} has a placeholder in the place of a secret`,
      remedy(config, name, here),
    ),
  );
}

function weakOf(config: Config, here: Values): Finding[] {
  return ownSecrets(Object.keys(here.app)).flatMap(({ name, file }) => {
    const value = here[file][name];
    const why = value && !isPlaceholder(value) ? weaknessOf(value) : undefined;
    return why
      ? [
          finding(
            'weak',
            'fault',
            `${name} is not 64 random characters: it ${why}`,
            remedy(config, name, here),
          ),
        ]
      : [];
  });
}

/** What both environments can have in common without harm: where messages go to, and the id of a key. */
const MAY_BE_SHARED = /^(SLACK_WEBHOOK_URL|WEBHOOK_URL|SENTRY_AUTH_TOKEN|.*_KEY_ID|.*_DSN)$/;

function sameOf(config: Config, here: Values, there: Values, other: string): Finding[] {
  const theirs = new Map([...secretValues(there)].map(([name, value]) => [value, name]));
  return [...secretValues(here)]
    .filter(([name, value]) => theirs.has(value) && !MAY_BE_SHARED.test(name))
    .map(([name, value]) => {
      const same = theirs.get(value)!;
      return finding(
        'same',
        'fault',
        `${name} has the same value in ${other}${same === name ? '' : `, as ${same}`}`,
        remedy(config, name, here),
      );
    });
}

function twiceOf(config: Config, here: Values): Finding[] {
  const names = Map.groupBy(
    ownSecrets(Object.keys(here.app)).filter(({ name, file }) => here[file][name]),
    ({ name, file }) => here[file][name]!,
  );
  return [...names.values()]
    .filter(same => same.length > 1)
    .map(same => {
      const all = same.map(({ name }) => name);
      return finding(
        'same',
        'fault',
        `${all.join(' and ')} have the same value`,
        remedy(config, all.at(-1)!, here),
      );
    });
}

function remedy({ envFile, appFile }: Config, name: string, { env, app }: Values): string {
  if (ownSecrets(Object.keys(app)).some(each => each.name === name))
    return `replace it: ./scripts/secrets.ts rotate ${name}`;
  const file = name in env ? envFile : appFile;
  return `get another value where it is issued, and set it in ${file}.`;
}

const finding = (
  check: Finding['check'],
  status: Finding['status'],
  message: string,
  hint: string,
): Finding => ({ check, status, message, hint });
