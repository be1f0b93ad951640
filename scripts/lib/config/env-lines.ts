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

/**
 * @returns a line for each line of an env file that sets a value which Compose and the scripts may read differently, so that a
 *   container would not get what a script gets; none shows the value.
 *   https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
 */
export function unclearLines(file: string): string[] {
  const text = file.replace(/^\uFEFF/, '');
  const problems: string[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  while (at < text.length) {
    if (take(COMMENT)) continue;
    const line = text.slice(0, at).split('\n').length;
    const name = take(NAME)?.[1];
    if (name !== undefined && (take(SINGLE) ?? take(DOUBLE) ?? take(PLAIN))) continue;
    problems.push(
      name === undefined
        ? `line ${line}: is no NAME=value`
        : `${name}: Compose would read another value (line ${line}); write it as ${name}='…', each ' in it as \\'`,
    );
    const end = text.indexOf('\n', at);
    at = end < 0 ? text.length : end + 1;
  }
  return problems;
}
