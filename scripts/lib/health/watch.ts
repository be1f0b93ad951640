import type { Result } from '../cli/command.ts';
import { Exit, usageError } from '../core/errors.ts';
import { shown } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import type { CheckResult } from './check.ts';

export const WATCH_SECONDS = 5;

/** Runs the checks and redraws the report every 5 s, until Ctrl+C ends it as documented. @throws a usage error without a terminal */
export async function watch(
  look: () => Promise<CheckResult[]>,
  draw: (results: CheckResult[], seconds: number) => string,
): Promise<Result> {
  if (!process.stdout.isTTY) throw usageError('--watch needs a terminal', 'leave --watch out.');
  process.stdout.write('\x1b[2J');
  while (!interrupt.aborted) {
    const started = performance.now();
    const results = await look().catch(error => {
      if (interrupt.aborted) return undefined;
      throw error;
    });
    if (!results) break;
    const text = shown(draw(results, (performance.now() - started) / 1000));
    // Each line is overwritten: clearing the screen first would flicker.
    const lines = text.split('\n').map(line => `${line}\x1b[K\n`);
    process.stdout.write(`\x1b[H${lines.join('')}\x1b[J`);
    await sleep(WATCH_SECONDS).catch(() => {});
  }
  return { exitCode: Exit.sigint };
}
