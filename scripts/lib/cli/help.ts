import { styled } from '../core/format.ts';

interface Option {
  type: 'boolean' | 'string';
  /** The placeholder of the value in the help: `NAME`. */
  value?: string;
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
  help: { type: 'boolean', help: 'this text' },
} as const satisfies Options;

/** What a script does and how it is called. */
export interface Description<O extends Options> {
  /** One line: what it does. */
  summary: string;
  /** After the script's name, one line for each form. */
  usage: string[];
  /** Further text. */
  details?: string;
  options: O;
  examples: [command: string, what: string][];
  exitCodes: [code: number, meaning: string][];
}

/** @returns the text of `--help` */
export function help<O extends Options>(script: string, description: Description<O>): string {
  const { summary, usage, details, options, examples, exitCodes } = description;
  const section = (title: string, text: string) => `${styled('bold', title, process.stdout)}\n${text}\n`;
  const table = (rows: [string, string][]) => {
    const width = Math.max(...rows.map(([left]) => left.length));
    return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
  };
  const flags = Object.entries<Option>({ ...options, ...COMMON }).map(
    ([name, { value, help: text }]): [string, string] => [`--${name}${value ? ` ${value}` : ''}`, text],
  );
  return [
    `${summary}\n`,
    section('Usage', usage.map(form => `  ${script} ${form}`).join('\n')),
    ...(details ? [`${details}\n`] : []),
    section('Options', table(flags)),
    section('Examples', table(examples)),
    section('Exit codes', table(exitCodes.map(([code, meaning]) => [String(code), meaning]))),
  ].join('\n');
}
