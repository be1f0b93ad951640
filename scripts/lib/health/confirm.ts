import { sleep } from '../core/signals.ts';

/** Seconds between looks at what one look found critical: together longer than a machine is usually too busy to answer. */
const PAUSES = [2, 5, 10];

/** Checks of what a release does not replace: the same fault can be worded in several ways, so the name alone counts. */
const STORES = new Set(['postgres', 'redis', 'certificate']);

/** @param line `name (message)` @returns what two lines on the same fault have in common: numbers in it may change */
function faultOf(line: string): string {
  const [name = '', ...words] = line.split(' ');
  if (STORES.has(name)) return name;
  return [
    name,
    ...words.map(word => (/^\D+-\d+$/.test(word) ? word : word.replace(/\d+(\.\d+)?/g, 'N'))),
  ].join(' ');
}

/**
 * Looks again before it believes what one look has found: only what each of four looks within 17 s finds counts.
 *
 * @param look returns a line for each fault: `name (message)`
 * @param known lines on faults that do not count
 * @returns the last look's lines
 */
export async function confirmed(look: () => Promise<string[]>, known: string[] = []): Promise<string[]> {
  const faults = new Set(known.map(faultOf));
  let lines = (await look()).filter(line => !faults.has(faultOf(line)));
  for (const pause of PAUSES) {
    if (lines.length === 0) break;
    await sleep(pause);
    const before = new Set(lines.map(faultOf));
    lines = (await look()).filter(line => before.has(faultOf(line)));
  }
  return lines;
}
