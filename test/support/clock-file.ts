/* Loaded before a script: its clock is off by the milliseconds that stand in CLOCK_FILE at each moment. */
import { readFileSync } from 'node:fs';

const now = Date.now;
const offset = () => Number(readFileSync(process.env.CLOCK_FILE!, 'utf8'));

globalThis.Date = class extends Date {
  constructor(...given: [] | [string | number | Date]) {
    if (given.length === 0) super(now() + offset());
    else super(...given);
  }
  static override now() {
    return now() + offset();
  }
} as DateConstructor;
