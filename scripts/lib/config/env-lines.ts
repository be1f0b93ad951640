/** Compose and these scripts read an env file with parsers of their own: a file may hold what both read alike. */

const COMMENT = /[^\S\n]*(?:#.*)?(?:\r?\n|$)/y;
const NAME = /[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*/y;
/** May have several lines, such as a PEM file. `\'` does not end it. */
const SINGLE = /'(?:[^'\\\r\0]|\\+(?=[^'\\\r\n\0])|(?<!\\)\\')*'[ \t]*(?:#.*)?(?:\r?\n|$)/y;
/** In it, Compose replaces $NAME, and more escapes than the scripts do. */
const DOUBLE = /"(?:[^"\\$\r\0]|\\n)*"[ \t]*(?:#.*)?(?:\r?\n|$)/y;
/** For Compose a # begins a comment only after a space, and not where the value is empty. */
const PLAIN =
  /(?:(?!['"`]|\\')[^\s#$\p{Cc}\p{Cf}](?:[^#$\p{Cc}\p{Cf}\\]|\\(?!')|\t)*?)?(?:(?<=[^\s=]) +#.*|[ \t]*)(?:\r?\n|$)/uy;

/** A piece of an env file. All of them, joined, are the file. */
export interface Part {
  /** With its end of line; a value can have several lines. */
  text: string;
  /** The first is 1. */
  line: number;
  kind: 'blank' | 'comment' | 'variable' | 'unclear';
  /** Of the variable, also where its value is unclear. */
  name?: string;
}

/** @returns the lines of an env file, those of one value as one part */
export function partsOf(file: string): Part[] {
  const parts: Part[] = [];
  let at = file.startsWith('\uFEFF') ? 1 : 0;
  if (at > 0) parts.push({ text: '\uFEFF', line: 1, kind: 'blank' });
  let line = 1;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(file);
    if (found) at = pattern.lastIndex;
    return found;
  };
  while (at < file.length) {
    const start = at;
    let kind: Part['kind'] = 'unclear';
    let name: string | undefined;
    const comment = take(COMMENT);
    if (comment) kind = comment[0].includes('#') ? 'comment' : 'blank';
    else {
      name = take(NAME)?.[1];
      if (name !== undefined && (take(SINGLE) ?? take(DOUBLE) ?? take(PLAIN))) kind = 'variable';
      else {
        const end = file.indexOf('\n', at);
        at = end < 0 ? file.length : end + 1;
      }
    }
    const text = file.slice(start, at);
    parts.push({ text, line, kind, ...(name !== undefined && { name }) });
    line += text.split('\n').length - 1;
  }
  return parts;
}

/**
 * @returns a line for each line of an env file that sets a value which Compose and the scripts may read differently, so that a
 *   container would not get what a script gets; none shows the value.
 *   https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
 */
export function unclearLines(file: string): string[] {
  return partsOf(file)
    .filter(({ kind }) => kind === 'unclear')
    .map(({ line, name }) =>
      name === undefined
        ? `line ${line}: is no NAME=value`
        : `${name}: Compose would read another value (line ${line}); write it as ${name}='…', each ' in it as \\'`,
    );
}
