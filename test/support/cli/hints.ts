/** The commands that messages and pages name. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { literalsIn } from './strings.ts';

/** A command as it is written. */
export interface Hint {
  /** Its file and line. */
  at: string;
  file: string;
  /** `restore.ts`, or `docker`. */
  program: string;
  /** Up to the first word that belongs to the sentence. A placeholder is {@link VALUE}. */
  args: string[];
  /** With its path: else, and without options, it is a name. */
  hasPath: boolean;
}

/** Stands for what a message puts in. */
export const VALUE = 'VALUE';

/** Words of a sentence that are arguments. */
const ARGUMENT =
  /^(?:VALUE|latest|\d|print|install|remove|next|run|status|generate|rotate|export|v\d\S*|sha256:\S+|s3:\S+|\S+\/\S+|<\w+>|[A-Z]{3,}|\w+_\d{8}_\d{6})$/;

/** @returns words as a shell splits them, up to a redirection or the next command */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  for (const [each, single, double] of line.matchAll(/'([^']*)'|"([^"]*)"|[|;&>#<](?!\w+>)|[^\s|;&>]+/g)) {
    if (/^[|;&>#]$/.test(each)) break;
    words.push(single ?? double ?? each);
  }
  return words;
}

/** Replaces placeholders, nested ones too. */
function withoutPlaceholders(text: string): string {
  let result = '';
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith('${', at) && depth === 0) {
      result += VALUE;
      depth = 1;
      at += 1;
    } else if (depth > 0) depth += text[at] === '{' ? 1 : text[at] === '}' ? -1 : 0;
    else result += text[at];
  }
  return result;
}

/** @param options of the program that take a value */
function argumentsIn(sentence: string, isWhole: boolean, options: (name: string) => boolean): string[] {
  const args: string[] = [];
  const words = isWhole ? shellWords(sentence) : sentence.split(/\s+/).filter(Boolean);
  while (words.length > 0) {
    const word = isWhole ? words.shift()! : words.shift()!.replace(/[.,:)]+$/, '');
    if (!isWhole && !word.startsWith('--') && !ARGUMENT.test(word)) break;
    args.push(word);
    if (options(word) && words.length > 0) args.push(words.shift()!);
  }
  return args;
}

const SCRIPT = /(?<![\w./-])(\.\/scripts\/)?([a-z][a-z-]*\.ts)\b(?=([^`;|&\n]*))/g;

/**
 * @param takesValue whether an option of a script takes a value
 * @returns the commands of our scripts that the messages of scripts/ name
 */
export function scriptHints(
  scripts: string[],
  takesValue: (script: string, option: string) => boolean,
): Hint[] {
  return messages().flatMap(({ file, line, text }) =>
    [...text.matchAll(SCRIPT)].flatMap(found => {
      const [, path, program, rest] = found as unknown as [string, string | undefined, string, string];
      if (!scripts.includes(program)) return [];
      // The text of the help, and what a lock is held for.
      if (!file.includes('/lib/') && found.index === 0 && !path) return [];
      const before = text[found.index - 1];
      const isWhole = before === '`' && text[found.index + found[0].length + rest.length] === '`';
      const args = argumentsIn(rest, isWhole, option => takesValue(program, option));
      if (!path && !/^ --[a-z]/.test(rest)) return [];
      return [{ at: `${file}:${line}`, file, program, args, hasPath: path !== undefined }];
    }),
  );
}

/** @returns the commands of Docker that messages name, without those that scripts run */
export function dockerHints(): (Hint & { text: string })[] {
  return messages().flatMap(({ file, line, text, isTagged }) =>
    isTagged
      ? []
      : [...text.matchAll(/(?<![\w./-])docker ([a-z][^`;&|]*)/g)].map(([whole, rest]) => ({
          at: `${file}:${line}`,
          file,
          program: 'docker',
          args: rest!.split(/\s+/).map(word => word.replace(/[.,:)]+$/, '')),
          hasPath: false,
          text: whole,
        })),
  );
}

interface Message {
  file: string;
  line: number;
  text: string;
  /** A template that a function runs, such as sh`docker ps`. */
  isTagged: boolean;
}

let read: Message[] | undefined;

/** @returns all strings of scripts/, with placeholders as {@link VALUE} */
export function messages(): Message[] {
  read ??= globSync('scripts/**/*.ts', { cwd: ROOT })
    .sort()
    .flatMap(file =>
      literalsIn(readFileSync(join(ROOT, file), 'utf8')).map(({ text, ...where }) => ({
        file,
        ...where,
        text: withoutPlaceholders(text),
      })),
    );
  return read;
}

/** @returns the command lines of the pages: the code, and what a sentence quotes */
export function pageCommands(): { at: string; command: string }[] {
  return ['README.md', ...globSync('docs/*.md', { cwd: ROOT })].flatMap(page => {
    let isCode = false;
    return readFileSync(join(ROOT, page), 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const at = `${page}:${index + 1}`;
        if (line.startsWith('```')) {
          isCode = line === '```bash';
          return [];
        }
        if (isCode) return line.split(/&&|\|/).map(command => ({ at, command: command.trim() }));
        return [...line.matchAll(/`((?:\.\/scripts\/|docker )[^`]+)`/g)].map(([, command]) => ({
          at,
          command: command!,
        }));
      });
  });
}
