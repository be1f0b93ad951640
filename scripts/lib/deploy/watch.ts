/** How a new release is compared with the previous one. */
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { criticalChecks } from '../health/all-checks.ts';
import { readTraffic, regression, type Traffic } from '../nginx/access-log.ts';
import type { Canary } from './canary.ts';

/** Seconds of traffic before a release that it is compared with. */
const BASELINE_SECONDS = 600;
/** Requests of the canary that may fail: fewer are within what a network loses. */
const CANARY_FAILURES = 3;

/** @returns the traffic of the last ten minutes */
export const baseline = (config: Config): Promise<Traffic> =>
  readTraffic(config, new Date(Date.now() - BASELINE_SECONDS * 1000));

/** @throws OperationalError when a check of health-check.ts is critical that was not critical `before` */
export async function refuseNewlyCritical(config: Config, before: string[]): Promise<void> {
  const nameOf = (line: string) => line.split(' ')[0];
  const known = new Set(before.map(nameOf));
  const found = (await criticalChecks(config)).filter(line => !known.has(nameOf(line)));
  if (found.length === 0) return;
  throw new OperationalError(
    `critical since the deployment: ${found.join('; ')}`,
    './scripts/health-check.ts --verbose explains it.',
  );
}

/**
 * Watches a release for DEPLOY_BAKE_SECONDS.
 *
 * @throws OperationalError when its traffic is worse than `before`, or when requests of the canary fail
 */
export async function watch(config: Config, release: string, before: Traffic, canary: Canary): Promise<void> {
  const { bakeSeconds } = config.deploy;
  if (bakeSeconds === 0) return;
  const since = new Date();
  const failedBefore = canary.count().failed;
  log.info(`watching ${release} for ${bakeSeconds} s`);
  while (Date.now() < since.getTime() + bakeSeconds * 1000) {
    await sleep(Math.min(5, bakeSeconds));
    throwIfSignalled();
    const { failed, failures } = canary.count();
    const why =
      regression(before, await readTraffic(config, since)) ??
      (failed - failedBefore >= CANARY_FAILURES
        ? `${failed - failedBefore} requests of the canary failed: ${failures.at(-1)}`
        : undefined);
    if (why) {
      throw new OperationalError(
        `${release} is worse than the previous release: ${why}`,
        'see the logs of its instances and Sentry; deploy a corrected version.',
      );
    }
  }
  log.done(`${release} is no worse than the previous release`);
}
