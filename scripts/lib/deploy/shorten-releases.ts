import { readFile } from 'node:fs/promises';
import { type Config, ENVIRONMENTS } from '../config/config.ts';
import { Exit, messageOf, OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { withLock } from '../core/lock.ts';
import { log } from '../core/log.ts';

/** Releases of an environment that are kept: more than three months of ten a day, whose images a registry may still have. */
export const KEPT_RELEASES = 1000;

/**
 * Keeps the last {@link KEPT_RELEASES} of an environment when twice as many are recorded. Its lines go by environment, so that
 * a busy staging does not take from production what it could go back to; those that can't be read stay. Runs under the lock
 * of the environment; the other one's is taken too, because both write to the file. Where it is held, the next release
 * shortens it. A failure is a warning: the release is recorded.
 */
export async function shortenReleases({ environment, stateDir }: Config, path: string): Promise<void> {
  const others = ENVIRONMENTS.filter(each => each !== environment);
  try {
    if (places(await readFile(path, 'latin1'), environment).length < 2 * KEPT_RELEASES) return;
    await withLocks(stateDir, others, async () => {
      const text = await readFile(path, 'latin1'); // each byte a character: what can't be read stays as it is
      const dropped = new Set(places(text, environment).slice(0, -KEPT_RELEASES));
      const kept = text.split('\n').filter((_, at) => !dropped.has(at));
      await writeWhole(path, Buffer.from(kept.join('\n'), 'latin1'));
    });
  } catch (error) {
    if (error instanceof OperationalError && error.exitCode === Exit.locked) return;
    log.warn(`${path} is not shortened: ${messageOf(error)}`);
  }
}

/** @returns the numbers of the lines that belong to an environment, from 0 */
const places = (text: string, environment: string): number[] =>
  text.split('\n').flatMap((line, at) => (environmentIn(line) === environment ? [at] : []));

function environmentIn(line: string): unknown {
  try {
    return (JSON.parse(line) as { environment?: unknown } | null)?.environment;
  } catch {
    return undefined;
  }
}

const withLocks = (stateDir: string, names: string[], work: () => Promise<void>): Promise<void> =>
  names.reduceRight(
    (next, name) => () => withLock(stateDir, name, 'shortening releases.jsonl', next),
    work,
  )();
