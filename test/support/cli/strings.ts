/** A string or template of a source. A placeholder of a template is `${…}` with its expression. */
export interface Literal {
  text: string;
  /** Counted from 1. */
  line: number;
  /** A template after a function's name or call, which gets it. */
  isTagged: boolean;
}

/** A slash after one of these begins a regular expression. */
const BEFORE_REGEXP = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|throw|await))$/;

/** @returns all strings and templates of TypeScript source, those inside of placeholders too */
export function literalsIn(source: string): Literal[] {
  const found: Literal[] = [];
  let at = 0;
  const lineAt = (index: number) => source.slice(0, index).split('\n').length;

  /** Reads code up to the closing brace of a placeholder, or to the end. */
  function code(): void {
    let depth = 0;
    let before = '';
    while (at < source.length) {
      const rest = source.slice(at, at + 2);
      const char = source[at]!;
      if (rest === '//') at = endOf('\n');
      else if (rest === '/*') at = endOf('*/');
      else if (char === "'" || char === '"') quoted(char);
      else if (char === '`') template();
      else if (char === '/' && BEFORE_REGEXP.test(before.trimEnd())) regexp();
      else {
        if (char === '{') depth += 1;
        if (char === '}' && --depth < 0) return;
        before = before.slice(-12) + char;
        at += 1;
        continue;
      }
      if (rest !== '//' && rest !== '/*') before = ')';
    }
  }

  function endOf(mark: string): number {
    const end = source.indexOf(mark, at + 2);
    return end < 0 ? source.length : end + mark.length;
  }

  function quoted(mark: string): void {
    const start = at++;
    while (source[at] !== mark) at += source[at] === '\\' ? 2 : 1;
    at += 1;
    found.push({ text: unescaped(source.slice(start + 1, at - 1)), line: lineAt(start), isTagged: false });
  }

  function template(): void {
    const start = at++;
    let text = '';
    while (source[at] !== '`') {
      if (source.startsWith('${', at)) {
        const begin = at;
        at += 2;
        code();
        at += 1;
        text += source.slice(begin, at);
      } else if (source[at] === '\\') {
        text += unescaped(source.slice(at, at + 2));
        at += 2;
      } else text += source[at++];
    }
    at += 1;
    found.push({ text, line: lineAt(start), isTagged: /[\w)]/.test(source[start - 1] ?? '') });
  }

  function regexp(): void {
    let inClass = false;
    at += 1;
    while (inClass || source[at] !== '/') {
      if (source[at] === '[') inClass = true;
      if (source[at] === ']') inClass = false;
      at += source[at] === '\\' ? 2 : 1;
    }
    at += 1;
  }

  code();
  return found;
}

const unescaped = (text: string) =>
  text.replace(/\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|n|.)/gi, each =>
    each === '\\n' ? '\n' : each.length === 2 ? each[1]! : '?',
  );
