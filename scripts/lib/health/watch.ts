import type { Result as Outcome } from '../cli/command.ts';
import { Exit, usageError } from '../core/errors.ts';
import { redact } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import type { Result } from './check.ts';

export const WATCH_SECONDS = 5;

/** Looks and draws over and over, until Ctrl+C. @throws a usage error where there is no terminal to draw on */
export async function watch(
  look: () => Promise<Result[]>,
  draw: (results: Result[], seconds: number) => string,
): Promise<Outcome> {
  if (!process.stdout.isTTY)
    throw usageError('--watch draws on a terminal, and there is none', 'leave --watch out.');
  process.stdout.write('\x1b[2J');
  while (!interrupt.aborted) {
    const started = performance.now();
    const results = await look();
    const text = redact(draw(results, (performance.now() - started) / 1000));
    // Line by line over what is there: erasing it all first would flicker.
    const lines = text.split('\n').map(line => `${line}\x1b[K\n`);
    process.stdout.write(`\x1b[H${lines.join('')}\x1b[J`);
    await sleep(WATCH_SECONDS).catch(() => {});
  }
  return { exitCode: Exit.sigint };
}
