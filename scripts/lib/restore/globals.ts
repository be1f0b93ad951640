/** What pg_dumpall --globals-only says about roles: taken apart, so that only known statements are run. */
import { identifier } from '../postgres/client.ts';
import { LOADER_PREFIX } from '../postgres/loader.ts';
import { partsOf } from '../postgres/sql-parts.ts';
import { nameOf, startsWith, type Word, wordsOf } from '../postgres/sql-words.ts';

/** Attributes without a value, in both forms. */
const ATTRIBUTES = [
  'SUPERUSER',
  'INHERIT',
  'CREATEROLE',
  'CREATEDB',
  'LOGIN',
  'REPLICATION',
  'BYPASSRLS',
] as const;
export type Attribute = (typeof ATTRIBUTES)[number];

/** A role of the source's server. */
export interface GlobalRole {
  name: string;
  attributes: Set<Attribute>;
  /** `CONNECTION LIMIT 9`, `VALID UNTIL '…'` */
  limits: string[];
  /** Statements that can be run once it exists: its settings, its comment, its privileges on settings. */
  others: string[];
}

/** A membership of a role. */
interface Membership {
  role: string;
  member: string;
  /** `GRANT … TO …`, without who granted it: that role may not exist here. */
  statement: string;
}

export interface Globals {
  roles: Map<string, GlobalRole>;
  memberships: Membership[];
  /** `CREATE TABLESPACE`, by name. */
  tablespaces: Map<string, string>;
}

/** @returns what the text of pg_dumpall says; statements of other forms are ignored */
export async function readGlobals(chunks: AsyncIterable<string>): Promise<Globals> {
  const globals: Globals = { roles: new Map(), memberships: [], tablespaces: new Map() };
  for await (const { kind, text } of partsOf(chunks)) {
    if (kind === 'statement') read(globals, Buffer.from(text, 'latin1').toString());
  }
  // A load went on during the backup.
  for (const name of globals.roles.keys()) if (name.startsWith(LOADER_PREFIX)) globals.roles.delete(name);
  return globals;
}

function read({ roles, memberships, tablespaces }: Globals, statement: string): void {
  const words = wordsOf(statement);
  const role = (at: number) => roles.get(nameOf(words[at]) ?? '');
  if (startsWith(words, 'CREATE ROLE')) {
    const name = nameOf(words[2]);
    if (name) roles.set(name, { name, attributes: new Set(), limits: [], others: [] });
  } else if (startsWith(words, 'ALTER ROLE')) {
    const altered = role(2);
    const rest = statement.slice(words[2]?.end);
    if (altered && startsWith(words.slice(3), 'WITH')) setAttributes(altered, words.slice(4));
    else if (altered && startsWith(words.slice(3), 'SET'))
      altered.others.push(`ALTER ROLE ${identifier(altered.name)}${rest}`);
  } else if (startsWith(words, 'COMMENT ON ROLE')) {
    const name = nameOf(words[3])!;
    role(3)?.others.push(`COMMENT ON ROLE ${identifier(name)}${statement.slice(words[3]!.end)}`);
  } else if (startsWith(words, 'GRANT')) readGrant(roles, memberships, statement, words);
  else if (startsWith(words, 'CREATE TABLESPACE')) tablespaces.set(nameOf(words[2]) ?? '', statement);
}

function setAttributes(role: GlobalRole, words: Word[]): void {
  for (const [index, { text, kind }] of words.entries()) {
    const attribute = ATTRIBUTES.find(each => each === text);
    if (kind === 'word' && attribute) role.attributes.add(attribute);
    if (startsWith(words.slice(index), 'CONNECTION LIMIT')) {
      const number = words.slice(index + 2).map(word => word.text);
      role.limits.push(`CONNECTION LIMIT ${Number.parseInt(number.join(''), 10)}`);
    }
    if (startsWith(words.slice(index), 'VALID UNTIL'))
      role.limits.push(`VALID UNTIL '${words[index + 2]!.text.replaceAll("'", "''")}'`);
  }
}

function readGrant(
  roles: Map<string, GlobalRole>,
  memberships: Membership[],
  statement: string,
  words: Word[],
): void {
  const to = words.findLastIndex(({ kind, text }) => kind === 'word' && text === 'TO');
  const by = words.findLastIndex(({ kind, text }) => kind === 'word' && text === 'GRANTED');
  const member = nameOf(words[to + 1]);
  if (to < 0 || member === undefined) return;
  const options = statement.slice(words[to + 1]!.end, by < 0 ? -1 : words[by - 1]!.end);
  if (!/^[A-Z, ]*$/.test(options)) return;
  const grant = (what: string) => `GRANT ${what} TO ${identifier(member)}${options};`;
  const role = nameOf(words[1]);
  if (to === 2 && role !== undefined) memberships.push({ role, member, statement: grant(identifier(role)) });
  else if (/^(?:SET|ALTER SYSTEM|ALL) ON PARAMETER [\w."]+$/.test(statement.slice(6, words[to - 1]!.end)))
    roles.get(member)?.others.push(grant(statement.slice(6, words[to - 1]!.end)));
}

/**
 * @param withAttributes false: only a superuser may write NOSUPERUSER and the like, which are defaults
 * @returns the statement that creates a role, without a password
 */
export function createRole({ name, attributes, limits }: GlobalRole): string {
  const inherit = attributes.has('INHERIT') ? [] : ['NOINHERIT'];
  const others = ATTRIBUTES.filter(each => each !== 'INHERIT' && attributes.has(each));
  const words = [...others, ...inherit, ...limits];
  return `CREATE ROLE ${identifier(name)}${words.length > 0 ? ` WITH ${words.join(' ')}` : ''};`;
}
