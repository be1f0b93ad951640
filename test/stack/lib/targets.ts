/** Request targets of every kind that two parsers may read in two ways, made of plain ones. */
import type { Random } from '../../support/core/random.ts';
import { ROUTES } from './routes.ts';

export interface Target {
  method: string;
  /** One character a byte. */
  text: string;
  /** What was done to a plain one. */
  kinds: string[];
}

const hex = (character: string) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

const words = (text: string) => text.trim().split(/\s+/);

/** What is put in between two characters. */
const INSERTED = [
  ...words(
    String.raw`\ / // ; ;x=1 # ? ?? . /. /./ /.. /../ /x/.. /... ..;/ * + : @ ~ ! , = & | { } " ' < > ^ [ ] ( ) $ - _`,
  ),
  ...words('% %0 %zz %00 %01 %09 %0a %0d %20 %23 %25 %2b %2e %2f %3a %3b %3f %40 %5c %7f %a0 %c2%a0 %c0%af'),
  ...words(
    '%e2%80%a8 %ef%bb%bf %u002f %252f %255c %252e /%2e /%2e/ /%2e%2e/ /.%2e/ /%2E.%2f %2f..%2f %2f. %2f%2f',
  ),
  ...words(String.raw`%5c..%5c \..\ /..\ `),
  ...[
    '`',
    '\t',
    '\n',
    '\r',
    '\x01',
    '\x0b',
    '\x0c',
    '\x1f',
    '\x7f',
    '\0',
    ' ',
    '\x80',
    '\x85',
    '\xa0',
    '\xff',
  ],
  ...['\xc2\xa0', '\xc0\xaf', '\xc1\x9c', '\xe2\x80\xa8', '\xef\xbb\xbf', '\xc3\xa4'],
];

/** What is put in the place of a slash. */
const SLASHES = [
  ...words(
    String.raw`\ \\ /\ \/ // /// %2f %2F %5c %5C %252f /./ /.// /x/../ /x/%2e%2e/ /x%2f..%2f /%2e/ %2f/ /;/ /..;/`,
  ),
  ...words('%c0%af %e2%88%95 /%20/ /%09/ #'),
  ...['\xc0\xaf', '\t', ' '],
];

/** What is put in the place of a letter. */
const LETTERS: [string, (letter: string) => string][] = [
  ['upper case', letter => letter.toUpperCase()],
  ['encoded', hex],
  ['encoded in upper case', letter => hex(letter.toUpperCase())],
  ['encoded twice', letter => hex(letter).replace('%', '%25')],
  ['overlong', letter => `%c1%${(letter.charCodeAt(0) + 0x20).toString(16)}`],
  ['wide', letter => encodeURIComponent(String.fromCodePoint(letter.charCodeAt(0) + 0xfee0))],
  ['raw wide', letter => Buffer.from(String.fromCodePoint(letter.charCodeAt(0) + 0xfee0)).toString('latin1')],
  ['long s and Kelvin sign', letter => ({ s: '%C5%BF', k: '%E2%84%AA' })[letter] ?? letter.toUpperCase()],
  ['raw high bit', letter => String.fromCharCode(letter.charCodeAt(0) | 0x80)],
];

/** What is done to a whole target. `HOST` becomes the API's name. */
const WHOLE: [string, (text: string) => string][] = [
  ['absolute form', text => `http://HOST${text}`],
  ['absolute form in upper case', text => `HTTPS://HOST${text}`],
  ['absolute form with a port', text => `https://HOST:443${text}`],
  ['absolute form with a user', text => `https://user@HOST${text}`],
  ['absolute form of another host', text => `http://other.example${text}`],
  ['absolute form without a path', text => `http://HOST?${text}`],
  ['absolute form with a backslash', text => `http:\\\\HOST${text}`],
  ['no slash at the beginning', text => text.slice(1)],
  ['two slashes and a host', text => `//HOST${text}`],
  ['backslash and a host', text => `/\\HOST${text}`],
  ['up from elsewhere', text => `/assets/..${text}`],
  ['up, encoded, from elsewhere', text => `/socket.io/..%2f${text.slice(1)}`],
  ['up from a public route', text => `/api/v1/articles/../../..${text}`],
  ['fragment', text => `${text}#/api/v1/articles`],
  ['fragment in the query', text => `${text}?a#b`],
  ['backslash for each slash', text => text.replaceAll('/', '\\')],
  ['backslash for each slash, fragment', text => `/${text.slice(1).replaceAll('/', '\\')}#`],
  ['backslash for the last slash, fragment', text => `${text.replace(/\/(?=[^/]*$)/, '\\')}#`],
  ['backslash for the last slash, no-break space', text => `${text.replace(/\/(?=[^/]*$)/, '\\')}\xa0`],
  ['no-break space at the end', text => `${text}\xa0`],
  ['byte order mark at the end', text => `${text}\xef\xbb\xbf`],
  ['line feed at the end', text => `${text}%0a`],
  ['slash at the end', text => `${text}/`],
  ['query with anything', text => `${text}?u=%2F..%2F%5C%00%0a//\\../\xa0;`],
  ['each letter encoded', text => text.replace(/[a-z]/g, hex)],
  ['upper case', text => text.replace(/[a-z]/g, letter => letter.toUpperCase())],
];

type Mutation = [kind: string, mutate: (text: string, random: Random) => string | undefined];

const at = (text: string, place: number, length: number, put: string) =>
  text.slice(0, place) + put + text.slice(place + length);

/** One of the places in the path where something stands; undefined: it stands nowhere. */
function placeOf(text: string, what: RegExp, random: Random): number | undefined {
  const places = [...text.split('?')[0]!.matchAll(what)].map(({ index }) => index);
  return places.length > 0 ? places[random.below(places.length)] : undefined;
}

const replacing = (what: RegExp, put: (found: string) => string) => (text: string, random: Random) => {
  const place = placeOf(text, what, random);
  return place === undefined ? undefined : at(text, place, 1, put(text[place]!));
};

export const MUTATIONS: Mutation[] = [
  ...INSERTED.map(
    (put): Mutation => [
      `insert ${JSON.stringify(put)}`,
      (text, random) => at(text, 1 + random.below(text.split('?')[0]!.length), 0, put),
    ],
  ),
  ...SLASHES.map((put): Mutation => [`slash ${JSON.stringify(put)}`, replacing(/\//g, () => put)]),
  ...LETTERS.map(([kind, put]): Mutation => [`letter ${kind}`, replacing(/[a-z]/g, put)]),
  ...WHOLE.map(([kind, put]): Mutation => [kind, text => put(text)]),
];

/**
 * @param count how many, at least; first each mutation of each plain target, then two and three of them together
 * @yields no target twice
 */
export function targets(random: Random, count: number): Target[] {
  const plain = Object.values(ROUTES);
  const seen = new Set(plain.map(({ method, target }) => method + target));
  const found: Target[] = [];
  const add = ({ method, target }: { method: string; target: string }, mutations: Mutation[]) => {
    let text: string | undefined = target;
    for (const [, mutate] of mutations) text = mutate(text, random) ?? text;
    if (seen.has(method + text)) return;
    seen.add(method + text);
    found.push({ method, text, kinds: mutations.map(([kind]) => kind) });
  };
  const any = <T>(list: T[]) => list[random.below(list.length)]!;
  // Each mutation once, of the routes in turn; then as chance has it.
  for (const [index, mutation] of MUTATIONS.entries()) add(plain[index % plain.length]!, [mutation]);
  for (const [kind, mutate] of MUTATIONS.slice(-WHOLE.length))
    for (const route of plain) add(route, [[kind, mutate]]);
  while (found.length < count)
    add(
      any(plain),
      Array.from({ length: 1 + random.below(3) }, () => any(MUTATIONS)),
    );
  return found;
}
