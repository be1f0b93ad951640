import * as v from 'valibot';
import { cronProblem } from '../core/cron.ts';

/** One variable of `.env.<environment>`. Its row in the table is its only declaration: `.env.example` is generated from it. */
export interface Variable {
  /** What an operator must know to set it, with the default where that is computed. */
  meaning: string;
  readBy: string;
  /** What its value can be. Without a type, scripts do not read it: it is Compose's or the application's. */
  type?: v.GenericSchema<string, unknown>;
  /** As in the file. */
  default?: string;
  /** Set to an empty value is not the same as not set. */
  emptyCounts?: true;
}

/** The variables of one subject, in the order of `.env.example`. */
export type Group = Record<string, Variable>;

/** @returns a group whose variables are read by these scripts, except those that name others */
export const readBy = <const G extends Record<string, Omit<Variable, 'readBy'>>>(readers: string, group: G) =>
  Object.fromEntries(
    Object.entries(group).map(([name, variable]) => [name, { readBy: readers, ...variable }]),
  ) as { [N in keyof G]: G[N] & Pick<Variable, 'readBy'> };

/*
 * What a variable's value can be. Each check has its own message: valibot's messages may show the value, which can be a
 * secret.
 */

/** Any text. */
export const any = v.string();
/** A directory: relative paths start at the repository, or where the variable says. */
export const directory = v.string();
export const text = (what: string, pattern: RegExp) => v.pipe(v.string(), v.regex(pattern, what));
export const choice = <const T extends string[]>(...values: T) => v.picklist(values, values.join(' or '));
export const whole = (what: string, min: number, max: number) =>
  v.pipe(
    text(what, /^\d{1,9}$/),
    v.transform(Number),
    v.check(n => n >= min && n <= max, what),
  );
export const days = whole('whole days, at least 1', 1, 36_500);
export const port = whole('a port number', 1, 65_535);
export const flag = v.pipe(
  choice('true', 'false'),
  v.transform(value => value === 'true'),
);
export const url = v.pipe(
  v.string(),
  v.trim(),
  v.check(value => /^https?:\/\//i.test(value) && URL.canParse(value), 'an http(s) URL'),
);

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };
/** A duration: in the file a number and its unit, in the program seconds. */
export const span = v.pipe(
  text('a number above 0 and s, m, h or d, such as 4h', /^0*[1-9]\d{0,5}[smhd]$/),
  v.transform(value => Number(value.slice(0, -1)) * SECONDS[value.slice(-1) as keyof typeof SECONDS]),
);
export const mailAddress = text('a mail address', /^[^\s@"<>,-][^\s@"<>,]*@[\w-]+(\.[\w-]+)+$/);
export const image = text(
  'an image’s name, with a tag or digest',
  /^(?!.*\/\/)[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?$/,
);
export const cron = v.pipe(
  v.string(),
  v.check(
    value => value === 'off' || cronProblem(value) === undefined,
    ({ input }) => `five fields of cron (UTC), such as 0 2 * * *, or off; here ${cronProblem(input) ?? ''}`,
  ),
);

/** @returns whether PostgreSQL takes this name as it is; it cuts names at 63 bytes (NAMEDATALEN) */
export function isDatabaseName(name: string, bytes = 63): boolean {
  return name !== '' && Buffer.byteLength(name) <= bytes && !/[\0\n\r]/.test(name);
}

/** The name of a database that is there already. */
export const existingDatabase = v.pipe(
  v.string(),
  v.check(name => isDatabaseName(name), 'at most 63 bytes, without line breaks'),
);

/** Bytes of the live database’s name: a restore appends `_before_<YYYYMMDD>_<HHMMSS>`, which must fit into 63. */
export const LIVE_NAME = 40;

/** The name of the live database. */
export const databaseName = v.pipe(
  v.string(),
  v.check(name => isDatabaseName(name, LIVE_NAME), `at most ${LIVE_NAME} bytes, without line breaks`),
);
