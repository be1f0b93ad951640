/* Loaded before a script: its clock is 20 minutes behind. Stores refuse more than 15. */
const BEHIND = 20 * 60_000;
const now = Date.now;

globalThis.Date = class extends Date {
  constructor(...given: [] | [string | number | Date]) {
    if (given.length === 0) super(now() - BEHIND);
    else super(...given);
  }
  static override now() {
    return now() - BEHIND;
  }
} as DateConstructor;
