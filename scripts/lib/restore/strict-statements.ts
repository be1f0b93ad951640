/**
 * Statements of a dump that POSTGRES_USER, a superuser, runs itself around a load by a role without rights. Each has to match a
 * form of pg_dump from its first to its last character. None of these forms runs code of the dump or reaches another
 * database.
 */
import { wordsOf } from '../postgres/sql-words.ts';

/**
 * When POSTGRES_USER runs it: `before` anything of the dump is loaded; then `owner` of an object, `sequence` (the same, of
 * one that may belong to a table), `privilege`, `object` that only a superuser may make; `trigger` comes last, because it
 * would be fired by what follows it.
 */
export type Phase = 'before' | 'owner' | 'sequence' | 'privilege' | 'object' | 'trigger';

const NAME = `(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)`;
const NAMES = `${NAME}(?:, ?${NAME})*`;
const FULL_NAME = String.raw`${NAME}(?:\.${NAME})?`;
/* Types and names of arguments: no default, no string. */
const ARGUMENTS = String.raw`\((?:[\w\s.,*[\]]|"(?:[^"]|"")*")*\)`;
/* Under standard_conforming_strings, which each session of the scripts sets. */
const STRING = String.raw`(?:'(?:[^']|'')*'|E'(?:[^'\\]|''|\\\\)*')`;
const OPERATOR = String.raw`(?:${NAME}\.)?(?!\S*(?:--|/\*))[-+*/<>=~!@#%^&|${'`'}?]+`;
const WORDS = String.raw`(?:, \w+ = (?:\w+|'[^'\\]*'))*`;

const OF_NAME = [
  ...[
    'TABLE',
    'VIEW',
    'MATERIALIZED VIEW',
    'FOREIGN TABLE',
    'SCHEMA',
    'TYPE',
    'DOMAIN',
    'COLLATION',
    'CONVERSION',
  ],
  ...['STATISTICS', 'TEXT SEARCH CONFIGURATION', 'TEXT SEARCH DICTIONARY', 'FOREIGN DATA WRAPPER', 'SERVER'],
  ...['LANGUAGE', 'PROCEDURAL LANGUAGE'],
].join('|');
const OF_FUNCTION = '(?:FUNCTION|PROCEDURE|AGGREGATE)';
const OWNED = [
  `(?:${OF_NAME}) ${FULL_NAME}`,
  `${OF_FUNCTION} ${FULL_NAME}${ARGUMENTS}`,
  `OPERATOR ${OPERATOR} ${ARGUMENTS}`,
  `OPERATOR (?:CLASS|FAMILY) ${FULL_NAME} USING ${NAME}`,
  String.raw`LARGE OBJECT \d+`,
].join('|');

const PRIVILEGE = String.raw`[A-Z]+(?: PRIVILEGES)?(?:\(${NAMES}\))?`;
const PRIVILEGES = `${PRIVILEGE}(?:, ?${PRIVILEGE})*`;
const GRANTED = [
  `(?:(?:TABLE|SEQUENCE|SCHEMA|TYPE|DOMAIN|LANGUAGE|FOREIGN DATA WRAPPER|FOREIGN SERVER) )?${FULL_NAME}`,
  `(?:FUNCTION|PROCEDURE|ROUTINE) ${FULL_NAME}${ARGUMENTS}`,
  String.raw`LARGE OBJECT \d+`,
].join('|');
const GRANTEE = `(?:PUBLIC|${NAME})`;
const GRANTS = `(?:GRANT|REVOKE)(?: GRANT OPTION FOR)? ${PRIVILEGES} ON`;
const TO = `(?:TO|FROM) ${GRANTEE}(?:, ?${GRANTEE})*(?: WITH GRANT OPTION)?(?: CASCADE)?`;

/** Those of other databases and of the server are none of these, nor is the membership in a role. */
const FORMS: [Phase, string][] = [
  ['before', `CREATE EXTENSION (?:IF NOT EXISTS )?${NAME}(?: WITH SCHEMA ${NAME})?`],
  ['sequence', `ALTER SEQUENCE ${FULL_NAME} OWNER TO ${NAME}`],
  ['owner', `ALTER (?:${OWNED}) OWNER TO ${NAME}`],
  ['privilege', `${GRANTS} (?:${GRANTED}) ${TO}`],
  [
    'privilege',
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${NAME}(?: IN SCHEMA ${NAME})? ${GRANTS} [A-Z]+(?: OBJECTS)? {1,2}${TO}`,
  ],
  [
    'object',
    String.raw`CREATE PUBLICATION ${NAME} FOR ALL TABLES(?: WITH \(publish = '[a-z, ]*'${WORDS}\))?`,
  ],
  ['object', `ALTER PUBLICATION ${NAME} ADD TABLES IN SCHEMA ${NAME}`],
  ['object', `ALTER (?:PUBLICATION|SUBSCRIPTION) ${NAME} OWNER TO ${NAME}`],
  [
    'object',
    String.raw`CREATE SUBSCRIPTION ${NAME} CONNECTION ${STRING} PUBLICATION ${NAMES} WITH \(connect = false(?!.*enabled)${WORDS}\)`,
  ],
  ['object', `COMMENT ON (?:EXTENSION|PUBLICATION|SUBSCRIPTION) ${NAME} IS ${STRING}`],
  ['object', `COMMENT ON SCHEMA public IS ${STRING}`],
  [
    'trigger',
    String.raw`CREATE EVENT TRIGGER ${NAME} ON (?:ddl_command_start|ddl_command_end|sql_drop|table_rewrite|login)(?:\s+WHEN TAG IN \('[A-Z ]+'(?:, ?'[A-Z ]+')*\))?\s+EXECUTE (?:FUNCTION|PROCEDURE) ${FULL_NAME}\(\)`,
  ],
  ['trigger', `ALTER EVENT TRIGGER ${NAME} (?:DISABLE|ENABLE(?: ALWAYS| REPLICA)?|OWNER TO ${NAME})`],
  ['trigger', `COMMENT ON EVENT TRIGGER ${NAME} IS ${STRING}`],
];

const PATTERNS = FORMS.map(([phase, form]) => ({ phase, pattern: new RegExp(`^${form};$`) }));
const FIRST_WORDS = /^(?:ALTER|GRANT|REVOKE|COMMENT ON|CREATE (?:EXTENSION|PUBLICATION|SUBSCRIPTION|EVENT)) /;

/** @returns when POSTGRES_USER runs a statement; undefined: never, it is left to the role that loads */
export function phaseOf(statement: string): Phase | undefined {
  if (!FIRST_WORDS.test(statement)) return undefined;
  return PATTERNS.find(({ pattern }) => pattern.test(statement))?.phase;
}

const AS_OTHER = new RegExp(`^SET SESSION AUTHORIZATION (?:${NAME}|'(?:[^'\\\\]|'')+');$`);

/** @returns which end of a group of grants by another role this is: SET SESSION AUTHORIZATION, or its RESET */
export function authorization(statement: string): 'set' | 'reset' | undefined {
  if (statement === 'RESET SESSION AUTHORIZATION;') return 'reset';
  return AS_OTHER.test(statement) ? 'set' : undefined;
}

/** @returns the schema of an extension, quoted if the dump quotes it */
export const schemaOfExtension = (statement: string) =>
  new RegExp(`^CREATE EXTENSION .* WITH SCHEMA (${NAME});$`, 's').exec(statement)?.[1];

/** @returns the schema that a statement makes, in the same form */
export const createdSchema = (statement: string) =>
  new RegExp(`^CREATE SCHEMA (${NAME});$`).exec(statement)?.[1];

/** @returns the sequence that a statement makes */
export const createdSequence = (statement: string) =>
  new RegExp(`^CREATE (?:UNLOGGED )?SEQUENCE (${FULL_NAME})\\s`).exec(statement)?.[1];

/** @returns the table, or what else that word stands for in pg_dump, whose owner a statement sets */
export const tableGiven = (statement: string) =>
  new RegExp(`^ALTER TABLE (${FULL_NAME}) OWNER TO `).exec(statement)?.[1];

/** What only a superuser may make, by its first words. pg_dump names a type without a schema only if it is PostgreSQL's own. */
const OF_SUPERUSER = new RegExp(
  String.raw`^(?:CREATE (?:OPERATOR (?:CLASS|FAMILY)|ACCESS METHOD|FOREIGN DATA WRAPPER|TEXT SEARCH (?:PARSER|TEMPLATE)|(?:OR REPLACE )?(?:TRUSTED )?(?:PROCEDURAL )?LANGUAGE) ${FULL_NAME}|CREATE CAST \([a-z0-9 ]+ AS [a-z0-9 ]+\)|CREATE TYPE ${FULL_NAME}(?= \(|;)|ALTER OPERATOR FAMILY ${FULL_NAME})`,
);

/**
 * @returns what a statement makes that only a superuser may make; undefined: nothing of that kind. No definition by somebody
 *   else is taken for one.
 */
export function onlySuperuser(statement: string): string | undefined {
  const made = OF_SUPERUSER.exec(statement)?.[0];
  if (made !== undefined)
    return made
      .replace(/^(?:CREATE|ALTER) (?:OR REPLACE )?/, '')
      .replace(/^[A-Z ]+/, words => words.toLowerCase());
  if (!/^CREATE (?:FUNCTION|PROCEDURE) /.test(statement) || !UNTRUSTED.test(statement)) return undefined;
  let depth = 0;
  let previous = '';
  for (const { kind, text } of wordsOf(statement)) {
    if (kind === 'mark') depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth === 0 && kind === 'word') {
      if (text === 'AS') return undefined; // the body
      const untrusted = previous === 'LANGUAGE' ? /^(?:c|internal|\w+u)$/.test(text) : text === 'LEAKPROOF';
      if (untrusted)
        return `${statement.slice('CREATE '.length, statement.indexOf('(')).replace(/^[A-Z]+/, word => word.toLowerCase())} (${text.toLowerCase()})`;
    }
    previous = kind === 'word' ? text : ''; // names in capitals are quoted
  }
  return undefined;
}

const UNTRUSTED = /\n {4}LANGUAGE (?:(?:c|internal|\w+u)\b|[^\n]*LEAKPROOF)/;
