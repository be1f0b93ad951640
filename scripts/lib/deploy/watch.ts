/** How a new release is compared with the previous one. */
import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { sleep, throwIfSignalled } from '../core/signals.ts';
import { criticalChecks } from '../health/all-checks.ts';
import { readVisits, type Visit } from '../nginx/access-log.ts';
import { upstreamOf } from '../nginx/upstreams.ts';
import type { Canary, CanaryCount } from './canary.ts';
import { type Guard, guardOver } from './guard.ts';
import { regression } from './judge.ts';
import { byRelease, type Instance, instancesOf } from './served-by.ts';

/** Seconds of traffic before a release that it is compared with. */
const BASELINE_SECONDS = 600;
/** Requests of the canary that may fail: fewer are within what a network loses. */
const CANARY_FAILURES = 3;
/** Seconds. */
const PAUSE = 5;

/** A release that is watched, and the one before. */
export interface Watched {
  config: Config;
  release: string;
  images: Images;
  previous: Images;
  /** All instances that may serve meanwhile, of either release. */
  services: string[];
  canary: Canary;
  /** Those of the old release, before anything was replaced. */
  before: Instance[];
  /** What these have answered until then. */
  old: Visit[];
  /** The canary's requests before anything was replaced. */
  canaryBefore: CanaryCount;
}

/** @returns a release to watch, with what the old one's instances have answered in the last ten minutes */
export async function startWatch(about: Omit<Watched, 'before' | 'old' | 'canaryBefore'>): Promise<Watched> {
  const { config, services, images, previous, canary } = about;
  const isWatched = config.deploy.bakeSeconds > 0;
  const since = new Date(Date.now() - BASELINE_SECONDS * 1000);
  const before = isWatched ? await instancesOf(config, services, images, previous) : [];
  const { old } = byRelease(before, isWatched ? await readVisits(config, since) : []);
  return { ...about, before, old, canaryBefore: canary.count() };
}

/** @returns what each release has answered since then, its instances that are gone included */
async function answeredSince(watched: Watched, since: Date): Promise<{ old: Visit[]; fresh: Visit[] }> {
  const { config, services, images, previous, before } = watched;
  const now = await instancesOf(config, services, images, previous);
  return byRelease([...now, ...before], await readVisits(config, since));
}

/** @throws OperationalError when a check of health-check.ts is critical, again and again, that was not `before` */
export async function refuseNewlyCritical(config: Config, before: string[]): Promise<void> {
  const found = await criticalChecks(config, before);
  if (found.length === 0) return;
  throw new OperationalError(
    `critical since the deployment: ${found.join('; ')}`,
    './scripts/health-check.ts --verbose explains it.',
  );
}

/**
 * Compares both releases while both serve, for half of DEPLOY_BAKE_SECONDS.
 *
 * @throws OperationalError when the new release is worse
 */
export async function compare(watched: Watched): Promise<void> {
  const { config, release } = watched;
  const seconds = config.deploy.bakeSeconds / 2;
  if (seconds === 0) return;
  log.info(`comparing ${release} with the previous release for ${seconds} s: both serve`);
  await observe(watched, seconds, (old, fresh) => regression(old, fresh, true));
}

/**
 * Watches a release for DEPLOY_BAKE_SECONDS, when it alone serves.
 *
 * @throws OperationalError when it is worse than the previous release was
 */
export async function watch(watched: Watched, rolledSince: Date): Promise<void> {
  const { config, release } = watched;
  const { bakeSeconds } = config.deploy;
  if (bakeSeconds === 0) return;
  log.info(`watching ${release} for ${bakeSeconds} s`);
  const { old } = await answeredSince(watched, rolledSince);
  const before = watched.old.concat(old);
  await observe(watched, bakeSeconds, (_, fresh) => regression(before, fresh, false));
  log.done(`${release} is no worse than the previous release`);
}

/** @param judge gets what each release has answered since this began, and returns why the new one is worse */
async function observe(
  watched: Watched,
  seconds: number,
  judge: (old: Visit[], fresh: Visit[]) => string | undefined,
): Promise<void> {
  const { config, release, services, images, previous, canary, canaryBefore } = watched;
  const since = new Date();
  const began = performance.now();
  const first = canary.count();
  const replaced = services.filter(service => images[upstreamOf(service)] !== previous[upstreamOf(service)]);
  const guard: Guard = await guardOver(config, replaced, images);
  while (performance.now() < began + seconds * 1000) {
    await sleep(Math.min(PAUSE, seconds));
    throwIfSignalled();
    const { old, fresh } = await answeredSince(watched, since);
    const why = (await guard()) ?? judge(old, fresh) ?? canaryFails(canaryBefore, first, canary.count());
    if (why) {
      throw new OperationalError(
        `${release} is worse than the previous release: ${why}`,
        'see the logs of its instances and Sentry; deploy a corrected version.',
      );
    }
  }
}

/** @returns why, when so many requests fail more than those before anything was replaced would let expect */
export function canaryFails(before: CanaryCount, first: CanaryCount, now: CanaryCount): string | undefined {
  const failed = now.failed - first.failed;
  const expected = (now.sent - first.sent) * (before.failed / Math.max(before.sent, 1));
  if (failed - expected < CANARY_FAILURES) return undefined;
  return `${failed} requests of the canary failed: ${now.failures.at(-1)}`;
}
