import { type Definitions, READABLE } from './definitions.ts';

/** One object that is not what it should be. */
export interface Difference {
  /** As in {@link Definitions}. */
  kind: string;
  identity: string;
  problem: 'missing' | 'unexpected' | 'different';
  /** The object and what is wrong with it, as a sentence. */
  message: string;
}

/** Kinds that a dump without owners and privileges does not hold. */
export const OWNERSHIP = [
  'owner of',
  'privileges of',
  'default privileges',
  'large objects owned by',
  'large objects with privileges',
];

/**
 * Kinds whose printed form depends on the version of PostgreSQL, or whose privileges and properties a version adds.
 * Between two major versions their hashes can't be compared; that an object is missing can still be seen.
 */
const VERSION_DEPENDENT = new Set([
  'query of',
  'default of',
  'index',
  'constraint',
  'trigger',
  'rule',
  'policy',
  'statistics',
  'function',
  'procedure',
  'publication',
  'privileges of',
  'default privileges',
]);

/** @returns whether two servers of different major versions may have this difference though nothing is lost */
export function dependsOnVersion({ kind, problem }: Difference): boolean {
  return VERSION_DEPENDENT.has(kind) && (problem === 'different' || OWNERSHIP.includes(kind));
}

/** Those of the first that the second lacks. */
function lacking(one: Definitions, other: Definitions): [kind: string, identity: string][] {
  return Object.entries(one).flatMap(([kind, hashes]) =>
    Object.keys(hashes)
      .filter(identity => !Object.hasOwn(other[kind] ?? {}, identity))
      .map((identity): [string, string] => [kind, identity]),
  );
}

/**
 * Compares two databases object by object. Of an object that is missing or unexpected, its parts are not listed.
 *
 * @param without kinds that are not compared
 * @returns the differences, by kind and name
 */
export function compareDefinitions(
  expected: Definitions,
  actual: Definitions,
  without: string[] = [],
): Difference[] {
  const missing = lacking(expected, actual);
  const unexpected = lacking(actual, expected).filter(
    ([kind, identity]) => !/(^| )schema public$/.test(`${kind} ${identity}`), // a new database has it, even if the dumped one had not
  );
  const different = Object.entries(expected).flatMap(([kind, hashes]) =>
    Object.entries(hashes)
      .filter(([identity, hash]) => differs(kind, hash, actual[kind]?.[identity]))
      .map(([identity]): [string, string] => [kind, identity]),
  );
  const whole = wholeObjects([...missing, ...unexpected]);
  const difference =
    (problem: Difference['problem']) =>
    ([kind, identity]: [string, string]) => ({
      kind,
      identity,
      problem,
      message: sentence(kind, identity, problem, expected[kind]?.[identity], actual[kind]?.[identity]),
    });
  return [
    ...missing.map(difference('missing')),
    ...unexpected.map(difference('unexpected')),
    ...different.map(difference('different')),
  ]
    .filter(({ kind, identity }) => !without.includes(kind) && !whole(kind, identity))
    .sort((a, b) => (`${a.kind} ${a.identity}` < `${b.kind} ${b.identity}` ? -1 : 1));
}

/** @returns whether something is only a part of, or said about, one of these objects */
function wholeObjects(objects: [kind: string, identity: string][]) {
  const about = new Set(objects.map(([kind, identity]) => `${kind} ${identity}`));
  const relations = new Set(
    objects
      .filter(([kind]) => /^((foreign )?table|(materialized )?view|composite type)$/.test(kind))
      .map(([, identity]) => identity),
  );
  // Quoted names may hold the separators: each is tried.
  const isColumn = (column: string) =>
    column.split('.').some((_, index, parts) => relations.has(parts.slice(0, index).join('.')));
  const isOnOne = (identity: string) =>
    identity
      .split(' on ')
      .some((_, index, parts) => index > 0 && relations.has(parts.slice(index).join(' on ')));
  return (kind: string, identity: string): boolean =>
    / (of|on)$/.test(kind)
      ? about.has(identity) || (identity.startsWith('column ') && isColumn(identity.slice('column '.length)))
      : kind === 'column'
        ? isColumn(identity)
        : isOnOne(identity) || (kind === 'type' && about.has(`composite type ${identity}`));
}

/** The value of a sequence that was moving and may have begun again meanwhile. */
export const ANY_VALUE = '*';

/** A sequence whose values were given out while it was dumped is somewhere between two values: `5..8`. */
function differs(kind: string, expected: string, actual: string | undefined): boolean {
  if (actual === undefined || actual === expected || expected === ANY_VALUE) return false;
  if (kind !== 'value of') return true;
  const [from, to = from] = expected.split('..').map(BigInt) as [bigint, bigint?];
  const value = BigInt(actual);
  return !((from <= value && value <= to!) || (to! <= value && value <= from));
}

function sentence(
  kind: string,
  identity: string,
  problem: Difference['problem'],
  expected?: string,
  actual?: string,
): string {
  if (kind === 'privileges of') return `${kind} ${identity} are not those of the backup`;
  const be = /^(large objects|default privileges|statistics)/.test(kind) ? 'are' : 'is';
  if (problem === 'missing') return `${kind} ${identity} ${be} missing`;
  if (problem === 'unexpected') return `${kind} ${identity} ${be} not in the backup`;
  if (kind === 'value of' || READABLE.includes(kind))
    return `${kind} ${identity} is ${actual}, not ${expected}`;
  return `${kind} ${identity} ${be} not as in the backup`;
}
