/** What people and programs are told of a run. */
import type { Config } from '../config/config.ts';
import { Exit, exitCodeOf, messageOf } from '../core/errors.ts';
import { interrupt } from '../core/signals.ts';
import { notify } from '../notify/notify.ts';
import { notifyChange } from '../notify/on-change.ts';
import { namesOf, serialOf } from './chain.ts';
import type { Outcome } from './obtain.ts';
import { renewalOf } from './renewal.ts';

/** @returns the result of a run, in both forms */
export function reportOf({ changed, text, leaf }: Outcome) {
  return {
    text: changed ? `served now: ${text}` : text,
    json: {
      changed,
      ...(leaf && {
        names: namesOf(leaf),
        serial: serialOf(leaf),
        validTo: leaf.validToDate.toISOString(),
        nextRenewal: renewalOf(leaf).toISOString(),
      }),
    },
  };
}

/**
 * Runs `work` and notifies of a new certificate, of a failure that is new, and of the first success after one.
 * @throws what `work` throws
 */
export async function notifying<T extends ReturnType<typeof reportOf>>(
  config: Config,
  wanted: boolean,
  work: () => Promise<T>,
): Promise<T> {
  // The reason, which may name a time, does not make another condition of it.
  const change = (status: string, exitCode: number, details: string[]) =>
    notifyChange(config, 'certificate', { status, lines: [], exitCode }, details);
  try {
    const result = await work();
    if (wanted) await change('healthy', Exit.done, []);
    if (wanted && result.json.changed) await notify(config, `certificate ${result.text}`, Exit.done);
    return result;
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (wanted && !interrupt.aborted && exitCode !== Exit.locked)
      await change(exitCode === Exit.verification ? 'refused' : 'not renewed', exitCode, [messageOf(error)]);
    throw error;
  }
}
