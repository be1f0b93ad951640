/*
 * Benchmarks: side by side in one run, ratios out.
 *
 *   npm run bench -- backup [--size 1GB] [--rounds 3]
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listenForSignals } from '../../scripts/lib/core/signals.ts';

const [name, ...args] = process.argv.slice(2);
const path = join(import.meta.dirname, `${name}.ts`);
if (!name || name === 'run' || !existsSync(path)) {
  console.error('usage: npm run bench -- <name> [options]; the names are the files of test/bench');
  process.exit(2);
}
listenForSignals();
const { default: bench } = (await import(path)) as { default: (args: string[]) => Promise<void> };
await bench(args);
process.exit(0);
