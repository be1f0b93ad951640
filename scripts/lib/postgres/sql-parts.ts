/** A plain dump as pg_dump writes it, taken apart into statements. */

/** A part of a dump. All parts, joined, are the dump. */
export interface Part {
  /** `statement`: with its semicolon. `other`: comments, blanks, the lines of COPY, commands of psql. */
  kind: 'statement' | 'other';
  text: string;
}

/** A longer statement is passed on in pieces, as `other`. One about owners or privileges is never that long. */
const LONGEST = 1 << 20;

const BETWEEN = /\s+|--[^\n]*\n|\\[^\n]*\n/y;
/** The same, where only the next chunk says how long it is. */
const CUT_BETWEEN = /^(?:\s|--?[^\n]*\n?$|\\[^\n]*\n?$)/;
const SPECIAL = /['"$;]|--|\/\*/g;
const TAG = /\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$/y;
const CUT_TAG = /\$[\w\x80-\xff]*$/y;
const WORD_BEFORE = /[\w$\x80-\xff]$/;
const ESCAPE_BEFORE = /(?:^|[^\w$\x80-\xff])[Ee]$/;
const COPY = /^COPY\s.*\sFROM\s+stdin\b/is;
const END_OF_DATA = /\n\\\.\r?\n/;

/** What can hold a semicolon that ends no statement: what is looked for in it, how much of that a chunk may cut off. */
interface Inside {
  end: RegExp;
  cut: number;
}

const TOP: Inside = { end: SPECIAL, cut: 1 };
const STRING: Inside = { end: /'/g, cut: 0 };
const ESCAPED: Inside = { end: /\\[\s\S]|''|'/g, cut: 1 };
const NAME: Inside = { end: /"/g, cut: 0 };
const LINE: Inside = { end: /\n/g, cut: 0 };
const COMMENT: Inside = { end: /\/\*|\*\//g, cut: 1 };

/**
 * Takes a plain dump apart while it arrives. Each character is one byte of it (latin1), whatever its encoding is.
 * It knows strings, quoted names, dollar quotes, comments, the lines of COPY and the commands of psql: no text in them
 * is taken for a statement. A function's body of SQL (BEGIN ATOMIC) becomes several statements; none that may stand in
 * one is about owners, privileges or tablespaces.
 */
export async function* partsOf(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Part> {
  const input = new Input(chunks);
  while (input.text !== '' || (await input.more())) {
    const skipped = input.match(BETWEEN, 0);
    if (skipped && !input.isCut(skipped)) {
      yield input.take('other', skipped[0].length);
      continue;
    }
    if (!input.ended && CUT_BETWEEN.test(input.text)) {
      await input.more();
      continue;
    }
    let isData = false;
    for await (const part of statementOf(input)) {
      isData = part.kind === 'statement' && COPY.test(part.text);
      yield part;
    }
    if (isData) yield* dataOf(input);
  }
}

/** What has arrived and was not taken yet. */
class Input {
  text = '';
  ended = false;
  readonly #source: AsyncIterator<string> | Iterator<string>;

  constructor(chunks: AsyncIterable<string> | Iterable<string>) {
    this.#source =
      Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  async more(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done) this.ended = true;
    else this.text += value;
    return !done;
  }

  take(kind: Part['kind'], length: number): Part {
    const part = { kind, text: this.text.slice(0, length) };
    this.text = this.text.slice(length);
    return part;
  }

  match(pattern: RegExp, from: number): RegExpExecArray | null {
    pattern.lastIndex = from;
    return pattern.exec(this.text);
  }

  /** Whether the next chunk can make it longer. */
  isCut(found: RegExpExecArray): boolean {
    return !this.ended && found.index + found[0].length === this.text.length;
  }
}

/** One statement, up to its semicolon. */
async function* statementOf(input: Input): AsyncGenerator<Part> {
  let at = 0; // how far it has been read
  let kind: Part['kind'] = 'statement';
  let inside = TOP;
  let depth = 0; // of comments
  for (;;) {
    const found = input.match(inside.end, at);
    const isCutTag = () =>
      !input.ended && inside === TOP && matchAt(CUT_TAG, input.text, found!.index) !== undefined;
    if (!found || input.isCut(found) || isCutTag()) {
      at = found?.index ?? Math.max(at, input.text.length - inside.cut);
      if (input.text.length > LONGEST && at > 2) {
        kind = 'other';
        yield input.take(kind, at - 2); // two are looked back at
        at = 2;
      }
      if (input.ended) return yield input.take('other', input.text.length);
      await input.more();
      continue;
    }
    const [token] = found;
    at = found.index + token.length;
    if (inside === COMMENT) {
      depth += token === '/*' ? 1 : -1;
      if (depth === 0) inside = TOP;
    } else if (inside !== TOP) {
      if (inside !== ESCAPED || token === "'") inside = TOP;
    } else if (token === ';') {
      return yield input.take(kind, at);
    } else if (token === '$') {
      const isInWord = WORD_BEFORE.test(input.text.slice(Math.max(0, at - 2), at - 1));
      const tag = isInWord ? undefined : matchAt(TAG, input.text, at - 1);
      if (tag === undefined) continue;
      inside = { end: new RegExp(RegExp.escape(tag), 'g'), cut: tag.length - 1 };
      at += tag.length - 1;
    } else if (token === "'") {
      inside = ESCAPE_BEFORE.test(input.text.slice(Math.max(0, at - 3), at - 1)) ? ESCAPED : STRING;
    } else if (token === '/*') {
      depth = 1;
      inside = COMMENT;
    } else inside = token === '"' ? NAME : LINE;
  }
}

/** The lines of COPY, with the one that ends them. */
async function* dataOf(input: Input): AsyncGenerator<Part> {
  for (;;) {
    const end = END_OF_DATA.exec(input.text);
    if (end) return yield input.take('other', end.index + end[0].length);
    if (input.text.length > 4) yield input.take('other', input.text.length - 4); // a chunk may cut the last line in two
    if (!(await input.more())) return;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
