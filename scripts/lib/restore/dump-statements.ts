/** What single statements of a dump need of the server, or say about owners. */
import type { Without } from '../backup/dump-commands.ts';
import type { Needs } from '../postgres/needs.ts';
import { nameOf, startsWith, type Word, wordsOf } from '../postgres/sql-words.ts';

/** A statement that has none of these as its first words is about nothing of this. */
const CONCERNED =
  /^(?:ALTER|GRANT|REVOKE|SET|RESET|CREATE (?:POLICY|USER MAPPING|EXTENSION|EVENT TRIGGER|PUBLICATION|SUBSCRIPTION|FOREIGN DATA WRAPPER|TABLE|INDEX|UNIQUE INDEX|DOMAIN|TYPE))\s/i;

const OF_OWNERS =
  'GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, SET SESSION AUTHORIZATION, RESET SESSION AUTHORIZATION'.split(
    ', ',
  );

/** @returns whether a restore that leaves this out skips the statement */
export function isLeftOut(statement: string, without: Without): boolean {
  if (!CONCERNED.test(statement)) return false;
  const words = wordsOf(statement);
  if (without.tablespaces && startsWith(words, 'SET DEFAULT_TABLESPACE')) return true;
  if (!without.owners) return false;
  return OF_OWNERS.some(start => startsWith(words, start)) || ownerIn(words) !== undefined;
}

/** @returns the new owner that `ALTER … OWNER TO` names */
function ownerIn(words: Word[]): string | undefined {
  if (!startsWith(words, 'ALTER') || startsWith(words, 'ALTER ROLE')) return undefined;
  return startsWith(words.slice(-4), 'OWNER TO') ? nameOf(words.at(-2)) : undefined;
}

/** @returns the roles in a list that begins after the last (or first) of these words */
function rolesAfter(words: Word[], keywords: string[], which: 'first' | 'last'): string[] {
  const isKeyword = ({ kind, text }: Word) => kind === 'word' && keywords.includes(text.toUpperCase());
  const start = which === 'first' ? words.findIndex(isKeyword) : words.findLastIndex(isKeyword);
  const roles: string[] = [];
  if (start < 0) return roles;
  for (let at = start + 1; at < words.length; at += 2) {
    roles.push(nameOf(words[at]) ?? '');
    if (words[at + 1]?.text !== ',') break;
  }
  return roles.filter(role => role !== '' && role !== 'public');
}

type Use = Needs['roles'][number]['uses'][number];

/** What one statement needs. */
interface Need {
  roles: [role: string, use: Use][];
  tablespaces?: string[];
  extensions?: string[];
  collations?: string[];
  publications?: string[];
  superuser?: string[];
}

const all = (roles: string[], use: Use): [string, Use][] => roles.map(role => [role, use]);

/** @returns what a statement needs of the server, or undefined */
export function needOf(statement: string): Need | undefined {
  if (!CONCERNED.test(statement)) return undefined;
  const words = wordsOf(statement);
  const is = (start: string) => startsWith(words, start);
  const owner = ownerIn(words);
  if (owner !== undefined) return { roles: [[owner, 'owner']] };
  if (is('ALTER DEFAULT PRIVILEGES')) {
    return {
      roles: [
        ...all(rolesAfter(words, ['ROLE', 'USER'], 'first'), 'defaults'),
        ...all(rolesAfter(words, ['TO', 'FROM'], 'last'), 'privilege'),
      ],
    };
  }
  if (is('GRANT') || is('REVOKE'))
    return { roles: all(rolesAfter(words, ['TO', 'FROM'], 'last'), 'privilege') };
  if (is('SET SESSION AUTHORIZATION')) {
    const role = nameOf(words[3]);
    return {
      roles:
        role === undefined || (words[3]?.kind === 'word' && role === 'default') ? [] : [[role, 'grantor']],
    };
  }
  if (is('SET DEFAULT_TABLESPACE')) {
    const name = nameOf(words[3]);
    return { roles: [], tablespaces: name === undefined || name === '' ? [] : [name] };
  }
  if (is('CREATE POLICY')) {
    const head = words.slice(
      0,
      words.findIndex(({ text }) => text === '('),
    );
    return { roles: all(rolesAfter(head.length > 0 ? head : words, ['TO'], 'last'), 'policy') };
  }
  if (is('CREATE USER MAPPING')) return { roles: all(rolesAfter(words, ['FOR'], 'first'), 'mapping') };
  if (is('CREATE EXTENSION')) {
    const name = nameOf(words[is('CREATE EXTENSION IF NOT EXISTS') ? 5 : 2]);
    return { roles: [], extensions: name === undefined ? [] : [name] };
  }
  if (is('CREATE EVENT TRIGGER')) return { roles: [], superuser: [`event trigger ${nameOf(words[3])}`] };
  if (is('CREATE SUBSCRIPTION')) return { roles: [], superuser: [`subscription ${nameOf(words[2])}`] };
  if (is('CREATE FOREIGN DATA WRAPPER'))
    return { roles: [], superuser: [`foreign data wrapper ${nameOf(words[4])}`] };
  if (is('CREATE PUBLICATION')) {
    const name = nameOf(words[2])!;
    const isOfAll = startsWith(words.slice(3), 'FOR ALL TABLES');
    return { roles: [], publications: [name], ...(isOfAll ? { superuser: [`publication ${name}`] } : {}) };
  }
  const collations = [...statement.matchAll(/ COLLATE pg_catalog\.(?:"([^"]+)"|(\w+))/g)];
  return { roles: [], collations: collations.map(([, quoted, bare]) => quoted ?? bare!) };
}
