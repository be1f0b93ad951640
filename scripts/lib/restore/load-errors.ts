/** What psql and pg_restore say about statements that fail. */
import { count } from '../core/format.ts';
import { withoutStatuses } from '../core/program-output.ts';
import { redact } from '../core/redact.ts';

/** A statement of a dump that failed. */
export interface LoadError {
  /** The line of a plain dump where the statement ends. */
  line?: number;
  /** The statement. Empty where a program does not say it. */
  statement: string;
  /** The error with its DETAIL, HINT and CONTEXT, in lines. */
  text: string;
}

/** Errors of a plain load: those of psql with VERBOSITY=verbose and --echo-errors. */
export function psqlErrors(stderr: string): LoadError[] {
  const entries = [
    ...withoutStatuses(stderr).matchAll(/^psql:<stdin>:(\d+): (.*(?:\n(?!psql:<stdin>:\d+: ).*)*)/gm),
  ];
  return entries.flatMap(([, line, text], index) => {
    const statement = /^STATEMENT: {2}(.*)/s.exec(entries[index + 1]?.[2] ?? '')?.[1];
    if (statement === undefined) return [];
    const shown = text!.replace(/\nLOCATION: .*/, '').trimEnd();
    return [{ line: Number(line), statement: withoutComments(statement), text: shown }];
  });
}

/** Errors of pg_restore. */
export function pgRestoreErrors(stderr: string): LoadError[] {
  const entries = withoutStatuses(stderr).matchAll(/^pg_restore: error: (.*(?:\n(?!pg_restore: ).*)*)/gm);
  return [...entries].map(([, entry]) => {
    const [text = '', statement] = entry!.split('\nCommand was: ');
    const copy = /^COPY failed for table ("(?:[^"]|"")*")/.exec(text)?.[1];
    return {
      statement: withoutComments(statement ?? (copy === undefined ? '' : `COPY ${copy}`)),
      text: text.replace(/^could not execute query: /, '').trimEnd(),
    };
  });
}

/** @returns whether pg_restore came to its end after errors. Its number of them is wrong with several connections. */
export function wentOn(stderr: string): boolean {
  return /^pg_restore: warning: errors ignored on restore: \d+$/m.test(stderr);
}

function withoutComments(statement: string): string {
  return statement.replace(/^(?:\s+|--.*\n)*/, '').trimEnd();
}

/** A setting of a later version in the header of a dump, such as `SET transaction_timeout = 0` of pg_dump 17. */
export function isUnknownSetting({ statement, text }: LoadError): boolean {
  return (
    /^SET \w+ = ('[^']*'|\w+);?$/.test(statement) &&
    /^\w+: {2}(42704: )?unrecognized configuration parameter /.test(text)
  );
}

/** Statements without which all rows are there. What is not here holds rows, or others need it. */
const WITHOUT_ROWS = [
  /^CREATE (UNIQUE )?INDEX /,
  /^REFRESH MATERIALIZED VIEW /,
  /^(COMMENT ON|SECURITY LABEL) /,
  /^CREATE (OR REPLACE )?(CONSTRAINT )?(TRIGGER|FUNCTION|PROCEDURE|AGGREGATE|RULE|VIEW) /,
  /^CREATE (EVENT TRIGGER|EXTENSION|POLICY|PUBLICATION|SUBSCRIPTION|STATISTICS|CAST|TRANSFORM) /,
  /^CREATE (SERVER|USER MAPPING|FOREIGN (TABLE|DATA WRAPPER)) /,
  /^ALTER (PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|EXTENSION|DEFAULT PRIVILEGES) /,
  /^ALTER INDEX [^;]* ATTACH PARTITION /,
  /^ALTER TABLE [^;]*\s(ADD CONSTRAINT|CLUSTER ON|REPLICA IDENTITY|(ENABLE|DISABLE) (\w+ )?TRIGGER) /,
  /^ALTER [^;]* OWNER TO ("(?:[^"]|"")*"|\w+);?$/,
  /^(GRANT|REVOKE) /,
];

/** Errors of the server, not of a statement: a full disk, no memory, an end of the session. */
const OF_SERVER =
  /^\w+: {2}(53|57|58|08|XX|25|40)\w{3}: |No space left on device|out of (shared )?memory|canceling statement|terminating connection/;

/** @returns whether all rows can be there although this failed */
export function canBeAccepted({ statement, text }: LoadError): boolean {
  return !OF_SERVER.test(text) && WITHOUT_ROWS.some(pattern => pattern.test(statement));
}

/** @returns whether the role that loads may not do this: pg_restore does not print the code 42501 */
export function isAboutRights({ text }: LoadError): boolean {
  return (
    /^\w+: {2}(?:42501: )?(?:permission denied|must be |only superuser|.*\bmust have )/.test(text) ||
    /^\w+: {2}42501: /.test(text)
  );
}

/** @returns whether these rows are those of a table of an extension, which a comparison with a manifest decides */
export function isRowsOfTable({ statement, text }: LoadError): boolean {
  return !OF_SERVER.test(text) && /^COPY /.test(statement);
}

/** One error, in lines: its statement, then all that the server said. */
export function describeError({ line, statement, text }: LoadError): string {
  const [first = '', ...more] = statement.split('\n').map(each => each.trim());
  const what = first.length < 60 && more.length > 0 ? `${first} ${more[0]}` : first;
  const where = line === undefined ? '' : ` (line ${count(line)})`;
  const why = text.replaceAll('\n', '\n      ');
  return `${redact(what).slice(0, 160)}${where}\n      ${why}`;
}
