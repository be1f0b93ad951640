/** Hides secrets in what is shown: which of them contains another, or in which order they became known, does not matter. */
import { randomBytes } from 'node:crypto';
import { percentEncoded } from './format.ts';

const HIDDEN = '***';
/** Characters of the shortest secret that is hidden, and of the shortest line of one that has several. */
const SHORTEST = 4;
const SHORTEST_LINE = 16;

const secrets = new Set<string>();

/**
 * Replaces these values with `***` in all later messages, except those under 4 characters: other text contains them. Also
 * as they stand in a URL, in JSON, in an env file and in a shell's quotes, and each long line of a value that has several.
 */
export function hideSecrets(values: (string | undefined)[]): void {
  for (const value of values) {
    if (!value || value.length < SHORTEST) continue;
    const lines = value.includes('\n') ? value.split(/\r?\n/) : [];
    for (const each of [value, ...lines.filter(({ length }) => length >= SHORTEST_LINE)]) {
      secrets.add(each);
      secrets.add(encodeURIComponent(each)); // as programs write a URL
      secrets.add(percentEncoded(each)); // as these scripts do
      secrets.add(JSON.stringify(each).slice(1, -1));
      secrets.add(each.replaceAll("'", "\\'"));
      secrets.add(each.replaceAll("'", `'\\''`));
    }
  }
}

/** @returns a new secret of 256 bits, hidden in all later messages: 64 digits and letters, which need quotes nowhere */
export function newSecret(): string {
  const secret = randomBytes(32).toString('hex');
  hideSecrets([secret]);
  return secret;
}

/**
 * @returns the text without any value given to {@link hideSecrets}; where several overlap, or one contains another, no
 *   character of any is left
 */
export function redact(text: string): string {
  const found: [start: number, end: number][] = [];
  for (const secret of secrets)
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1))
      found.push([at, at + secret.length]);
  if (found.length === 0) return text;
  found.sort(([a], [b]) => a - b);
  let result = '';
  let shown = 0; // the end of what is shown or hidden so far
  for (const [start, end] of found) {
    if (start >= shown) result += text.slice(shown, start) + HIDDEN;
    shown = Math.max(shown, end);
  }
  return result + text.slice(shown);
}
