/** A word of a statement. */
export interface Word {
  /** Of a quoted name and of a string: what is between the quotes. */
  text: string;
  kind: 'word' | 'name' | 'string' | 'mark';
  /** Where in the statement it ends. */
  end: number;
}

const WORD =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|"((?:[^"]|"")*)"|[Ee]'((?:\\[\s\S]|''|[^\\'])*)'|'((?:[^']|'')*)'|([\w$\u0080-\uffff]+)|([\s\S])/gy;

/** @returns the words of a statement without dollar quotes */
export function wordsOf(statement: string): Word[] {
  return [...statement.matchAll(WORD)].flatMap(({ 0: { length }, index, ...found }): Word[] => {
    const { 1: name, 2: escaped, 3: string, 4: word, 5: mark } = found as Record<number, string | undefined>;
    const end = index + length;
    if (name !== undefined) return [{ kind: 'name', text: name.replaceAll('""', '"'), end }];
    if (escaped !== undefined) return [{ kind: 'string', text: plainText(escaped), end }];
    if (string !== undefined) return [{ kind: 'string', text: string.replaceAll("''", "'"), end }];
    if (word !== undefined) return [{ kind: 'word', text: word, end }];
    return mark !== undefined ? [{ kind: 'mark', text: mark, end }] : [];
  });
}

/** Only what pg_dump escapes: backslashes and quotes. */
const plainText = (text: string) =>
  text.replaceAll(/\\([\s\S])|''/g, (_, character?: string) => character ?? "'");

/** @returns the name that a word is: in small letters, unless it is quoted */
export function nameOf(word: Word | undefined): string | undefined {
  if (word?.kind === 'word') return word.text.toLowerCase();
  return word?.kind === 'mark' ? undefined : word?.text;
}

/** @returns whether these words begin with `expected`: words in capitals, which no quoted name is */
export function startsWith(words: Word[], expected: string): boolean {
  return expected
    .split(' ')
    .every((word, index) => words[index]?.kind === 'word' && words[index].text.toUpperCase() === word);
}
