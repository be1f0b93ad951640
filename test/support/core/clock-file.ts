/*
 * Loaded before a script: its clock is the one that stands in CLOCK_FILE, as clock.ts writes it. Where
 * CLOCK_TURNS is a list of patterns and clocks, this process turns the clock itself at the moment at which it first
 * shows a pattern on stderr, one after the other: no test is as fast.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const { CLOCK_FILE, CLOCK_TURNS } = process.env as { CLOCK_FILE: string; CLOCK_TURNS?: string };
const real = Date.now;
const read = () => readFileSync(CLOCK_FILE, 'utf8').split(' ') as ['stands' | 'goes', string];

/** `stands <ms>`: it stands still there. `goes <ms>`: it is so far ahead of this machine's. */
function clock(): number {
  const [how, ms] = read();
  return how === 'stands' ? Number(ms) : real() + Number(ms);
}

globalThis.Date = class extends Date {
  constructor(...given: [] | [string | number | Date]) {
    if (given.length === 0) super(clock());
    else super(...given);
  }
  static override now() {
    return clock();
  }
} as DateConstructor;

if (CLOCK_TURNS) {
  const turns: { shows: string; stands?: number; goes?: number }[] = JSON.parse(CLOCK_TURNS);
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text: string | Uint8Array, ...rest: []) => {
    if (turns[0] && new RegExp(turns[0].shows, 'm').test(String(text))) {
      const { stands, goes } = turns.shift()!;
      const to = stands !== undefined ? `stands ${stands}` : `goes ${(goes ?? clock()) - real()}`;
      writeFileSync(`${CLOCK_FILE}.new`, to);
      renameSync(`${CLOCK_FILE}.new`, CLOCK_FILE);
    }
    return write(text, ...rest);
  };
}
