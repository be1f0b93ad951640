import { styled, wrap } from '../core/format.ts';

interface Option {
  type: 'boolean' | 'string';
  /** The placeholder of the value in the help: `NAME`. */
  value?: string;
  /** One letter that stands for it: `h`. */
  short?: string;
  /** It may be given several times. */
  multiple?: true;
  help: string;
}

export type Options = Record<string, Option>;

/** The options that every script has. */
export const COMMON = {
  env: {
    type: 'string',
    value: 'production|staging',
    help: 'environment; default: DEPLOY_ENV, else production',
  },
  json: { type: 'boolean', help: 'only JSON on stdout' },
  help: { type: 'boolean', short: 'h', help: 'this text' },
  version: { type: 'boolean', help: 'the version of these scripts' },
} as const satisfies Options;

/** What a script does and how it is called. */
export interface Description<O extends Options> {
  /** One line: what it does. */
  summary: string;
  /** After the script's name, one line for each form. */
  usage: string[];
  /** Further text, whose lines are wrapped, but for those that begin with two spaces. */
  details?: string;
  options: O;
  examples: [command: string, what: string][];
  exitCodes: [code: number, meaning: string][];
}

/** Stands for the id of a backup in an example; the help shows one with the names of the configuration. */
export const SOME_BACKUP = 'BACKUP_20260131_020007';

/** Columns of a plain terminal. */
const WIDTH = 80;
/** Columns of what is left of its explanation; longer ones get lines of their own. */
const LEFT = 34;

/**
 * @param backups what the ids of backups begin with
 * @returns the text of `--help`, for a terminal of 80 columns
 */
export function help<O extends Options>(
  script: string,
  description: Description<O>,
  backups = 'acme_production',
): string {
  const { summary, usage, details, options, examples, exitCodes } = description;
  const section = (title: string, text: string) => `${styled('bold', title, process.stdout)}\n${text}\n`;
  const flags = Object.entries<Option>({ ...options, ...COMMON }).map(
    ([name, { short, value, help: text }]): [string, string] => [
      `--${name}${short ? `, -${short}` : ''}${value ? ` ${value}` : ''}`,
      text,
    ],
  );
  return [
    `${wrap(summary, WIDTH).join('\n')}\n`,
    section(
      'Usage',
      usage.map(form => indented(`${script} ${whole(form)}`, 2, 6).replaceAll(JOINED, ' ')).join('\n'),
    ),
    ...(details ? [`${paragraphs(details)}\n`] : []),
    section('Options', table(flags)),
    section('Examples', table(examples.map(([example, what]) => [pasted(example, backups), what]))),
    section('Exit codes', table(exitCodes.map(([code, meaning]) => [String(code), meaning]))),
  ].join('\n');
}

/** Wraps the text; a line that begins with two spaces stays whole, such as one to paste. */
const paragraphs = (text: string): string =>
  text
    .split(/\n(?= {2})|(?<=(?:^|\n) {2}.*)\n/)
    .map(part => (part.startsWith('  ') ? part : wrap(part, WIDTH).join('\n')))
    .join('\n');

/** Stands for a space at which no line ends. */
const JOINED = '\0';

/** @returns the text, in which no `[…]` is divided */
const whole = (form: string): string => form.replace(/\[[^\]]*\]/g, part => part.replaceAll(' ', JOINED));

function table(rows: [string, string][]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  const row = ([left, right]: [string, string]) =>
    width > LEFT
      ? `  ${left}\n${indented(right, 6)}`
      : `  ${left.padEnd(width)}${indented(right, width + 4).slice(width + 2)}`;
  return rows.map(row).join('\n');
}

/** @param more spaces before all lines but the first */
function indented(text: string, spaces: number, more = spaces): string {
  return wrap(text, WIDTH - more)
    .map((line, index) => ' '.repeat(index === 0 ? spaces : more) + line)
    .join('\n');
}

/** @returns an example with the path of its script, as it is pasted in the repository */
const pasted = (example: string, backups: string): string =>
  example.replace(/^[a-z-]+\.ts\b/, './scripts/$&').replace(/\bBACKUP(?=_\d{8}_)/, backups);
