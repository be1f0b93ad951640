/** Random numbers that a seed repeats. */
export interface Random {
  /** What was printed: `SEED=… npm run test:long -- WORD` repeats the run. */
  seed: number;
  /** A whole number from 0 to `limit` - 1. */
  below: (limit: number) => number;
}

/** Numbers of the seed in SEED, or of a new one. Mulberry32: enough for a choice of moments. */
export function createRandom(seed = Number(process.env.SEED ?? Date.now() % 1e9)): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, below: limit => Math.floor(next() * limit) };
}
