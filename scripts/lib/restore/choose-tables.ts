/** Which tables of a backup an operator means. */
import type { Manifest } from '../backup/manifest.ts';
import { unpackDefinitions } from '../backup/packed-definitions.ts';
import { usageError } from '../core/errors.ts';
import { identifier } from '../postgres/client.ts';

export interface TableName {
  schema: string;
  name: string;
}

/** The most names that an error suggests. */
const SUGGESTED = 5;

/** @returns the tables of a backup, partitioned ones included where the manifest knows them */
export function tablesOf({ tables, definitions }: Pick<Manifest, 'tables' | 'definitions'>): TableName[] {
  const known = new Map(tables.map(({ schema, name }) => [quoted({ schema, name }), { schema, name }]));
  for (const identity of Object.keys((definitions && unpackDefinitions(definitions).table) || {})) {
    const parts = partsOf(identity);
    if (parts && !known.has(quoted(parts))) known.set(quoted(parts), parts);
  }
  return [...known.values()];
}

/**
 * Finds the tables that `--table` names: `schema.table`, with or without PostgreSQL's double quotes.
 * @param known of the backup
 * @throws a usage error (exit code 2) with similar names where one is not among them, can mean several, or two have one name
 */
export function chooseTables(known: TableName[], wanted: string[]): TableName[] {
  const chosen = [...new Set(wanted)].map(text => choose(known, text));
  for (const [index, table] of chosen.entries()) {
    const other = chosen.slice(0, index).find(({ name }) => name === table.name);
    if (other && other !== table)
      throw usageError(
        `${shown(other)} and ${shown(table)} have the same name, and one schema can't hold both`,
        'restore them in two runs.',
      );
  }
  return [...new Set(chosen)];
}

function choose(known: TableName[], text: string): TableName {
  const parts = text.includes('"') ? partsOf(text) : undefined;
  const found = parts
    ? known.filter(({ schema, name }) => schema === parts.schema && name === parts.name)
    : known.filter(({ schema, name }) => `${schema}.${name}` === text);
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw usageError(
      `--table ${text} can mean ${found.map(quoted).join(' or ')}`,
      'quote its two parts, as shown.',
    );
  const near = nearest(known, text).map(shown).join(', ');
  throw usageError(
    `the backup has no table ${text}`,
    near
      ? `similar are: ${near}.`
      : 'give it as schema.table; ./scripts/list-backups.ts lists other backups.',
  );
}

export const quoted = ({ schema, name }: TableName) => `${identifier(schema)}.${identifier(name)}`;

/** @returns the name as `--table` takes it */
function shown({ schema, name }: TableName): string {
  const plain = `${schema}.${name}`;
  return /^[^."]+\.[^."]+$/.test(plain) ? plain : quoted({ schema, name });
}

/** @returns the two parts of a name, each quoted or not */
function partsOf(text: string): TableName | undefined {
  const match = /^(?:"((?:[^"]|"")+)"|([^".]+))\.(?:"((?:[^"]|"")+)"|([^".]+))$/.exec(text);
  if (!match) return undefined;
  const [, schema, plainSchema, name, plainName] = match;
  const unquote = (part: string) => part.replaceAll('""', '"');
  return {
    schema: schema === undefined ? plainSchema! : unquote(schema),
    name: name === undefined ? plainName! : unquote(name),
  };
}

function nearest(known: TableName[], text: string): TableName[] {
  const plain = (word: string) => word.toLowerCase().replaceAll('"', '');
  const wanted = plain(text);
  const last = wanted.split('.').at(-1)!;
  return known
    .map(table => {
      const [whole, name] = [plain(`${table.schema}.${table.name}`), plain(table.name)];
      return { table, distance: Math.min(editDistance(wanted, whole), editDistance(last, name)) };
    })
    .filter(({ table, distance }) => distance <= Math.max(2, table.name.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, SUGGESTED)
    .map(({ table }) => table);
}

/** Levenshtein's: characters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (character === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row.at(-1)!;
}
