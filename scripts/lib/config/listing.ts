/** What each variable is, and where its value comes from: for an operator who asks, secrets masked. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configurationOf, type Environment, ROOT } from './config.ts';
import { type UnknownName, unknownNames } from './known-names.ts';
import { siteOf } from './site.ts';
import type { Group, Variable } from './types.ts';
import { GROUPS, NAMES, SECRET } from './variables.ts';

/** Where a value comes from: a line of the file, a default, or nowhere. */
export type Source = 'environment' | `line ${number}` | 'default' | 'not set';

/** A variable of the table with the value that scripts use. */
export interface Listed {
  name: string;
  group: string;
  meaning: string;
  readBy: string;
  /** Masked where it is secret. Of a default that is computed: how. Null: it has none. */
  value: string | null;
  secret: boolean;
  source: Source;
  /** What it has to be, where it is wrong. */
  problem?: string;
}

/** The configuration of an environment as an operator sees it. */
export interface Listing {
  /** The env file; it may be missing. */
  file: string;
  exists: boolean;
  variables: Listed[];
  /** Names of the file that are not in the table. */
  unknown: (UnknownName & { line: number })[];
  /** Variables that a copy of .env.example sets, and the file does not: their defaults hold. */
  absent: string[];
  /** Variables without a value that the Compose file needs. A server for backups only can do without. */
  neededByCompose: string[];
  /** All that is wrong, also what is not the fault of one variable; without values. */
  problems: string[];
}

/** @returns every variable with its value and where that is from, and what is wrong; throws only where the file can't be read */
export function listing(environment: Environment, processEnv: NodeJS.ProcessEnv = process.env): Listing {
  const { path, file, given, problems } = configurationOf(environment, processEnv);
  const exists = existsSync(path);
  const lines = exists ? linesOf(readFileSync(path, 'utf8')) : new Map<string, number>();
  const problemOf = (name: string) =>
    problems.find(each => each.startsWith(`${name}: `))?.slice(name.length + 2);

  const site = siteOf(environment, { DOMAIN: given.DOMAIN || undefined });
  const names: Record<string, string | undefined> = { DOMAIN: site.frontend, API_DOMAIN: site.api };

  const listed = (group: string, name: string, variable: Variable): Listed => {
    const { meaning, readBy, emptyCounts } = variable;
    const secret = SECRET.test(name);
    const own = emptyCounts ? given[name] : given[name] || undefined;
    const otherwise = names[name] ?? defaultOf(variable);
    const source: Source =
      own === undefined
        ? otherwise === undefined
          ? 'not set'
          : 'default'
        : processEnv[name] === undefined
          ? `line ${lines.get(name) ?? 0}`
          : 'environment';
    const shown =
      own === undefined ? otherwise && filled(otherwise, environment, given) : secret ? masked(own) : own;
    const value = shown === undefined ? null : withoutLogin(shown);
    const problem = problemOf(name);
    return { name, group, meaning, readBy, value, secret, source, ...(problem !== undefined && { problem }) };
  };
  return {
    file: path,
    exists,
    variables: Object.entries<Group>(GROUPS).flatMap(([group, variables]) =>
      Object.entries(variables).map(([name, variable]) => listed(group, name, variable)),
    ),
    unknown: unknownNames(Object.keys(file)).map(each => ({ ...each, line: lines.get(each.name) ?? 0 })),
    absent: exists
      ? NAMES.filter(name => !(name in file) && !(name in processEnv) && !commentedOut(name))
      : [],
    neededByCompose: neededByCompose(environment).filter(name => !given[name]),
    problems,
  };
}

const ALL: Record<string, Variable> = Object.assign({}, ...Object.values(GROUPS));

/** In .env.example, a variable whose empty value counts is a comment. */
const commentedOut = (name: string) => ALL[name]?.emptyCounts === true;

/** @returns the variables without which Compose refuses to start: `${NAME:?…}` */
export function neededByCompose(environment: Environment): string[] {
  const path = join(ROOT, `docker-compose.${environment}.yml`);
  if (!existsSync(path)) return []; // the image of the backup service
  const names = [...readFileSync(path, 'utf8').matchAll(/(?<!\$)\$\{([A-Z0-9_]+):\?/g)].map(
    ([, name]) => name!,
  );
  return [...new Set(names)];
}

/** @returns the line of each variable of an env file, of the last one where it is set twice */
export function linesOf(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [index, line] of text.split('\n').entries()) {
    const name = /^\s*(?:export\s+)?([\w.-]+)\s*=/.exec(line)?.[1];
    if (name) found.set(name, index + 1);
  }
  return found;
}

/** A default that is computed is the last sentence of a meaning that begins so. */
export const COMPUTED = /Default: (.+?)\.(?= [A-Z]|$)/;

const defaultOf = ({ default: standard, meaning }: Variable) => standard ?? COMPUTED.exec(meaning)?.[1];

/** @returns a default in which `<APP_NAME>` and the like are replaced with their values */
function filled(text: string, environment: string, given: Record<string, string | undefined>): string {
  return text.replace(/<([A-Z_]+|environment)>/g, (whole, name: string) =>
    name === 'environment' ? environment : given[name] || ALL[name]?.default || whole,
  );
}

/** The length tells a secret that was cut short, or pasted twice. */
const masked = (value: string) => `*** (${value.length} characters)`;

const withoutLogin = (value: string) => value.replace(/(\/\/)[^/@\s]+@/g, '$1***@');
