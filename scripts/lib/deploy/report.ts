import type { Result } from '../cli/command.ts';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { pruneImages, shortName } from '../docker/images.ts';
import { type HookName, runHook } from '../hooks/hooks.ts';
import { notify } from '../notify/notify.ts';
import { type Release, reachable, readReleases } from './releases.ts';
import type { Report } from './run-deploy.ts';
import { reportToSentry } from './sentry.ts';

/** Releases whose images stay on this machine: the one that serves, and two for rollback.ts. */
export const KEPT = 3;

/**
 * Reports a deployment that has ended, to the notification channels and Sentry, and removes old images. None of these can fail it.
 *
 * @returns what the script prints, and its exit code
 */
export async function reportDeploy(config: Config, { release, exitCode, failure }: Report): Promise<Result> {
  const { kind, outcome, images, migrations, backup, canary, seconds } = release;
  const what = `${kind === 'deploy' ? 'deployment of' : 'rollback to'} ${release.release}`;
  const headline =
    outcome === 'done'
      ? `${what}: done in ${duration(seconds)}`
      : failure
        ? `${what} FAILED, ${outcome}: ${failure.message}`
        : `${what}: ${outcome} in ${duration(seconds)}`;
  const text = [
    headline,
    ...(outcome === 'done'
      ? [`  serves      ${shortName(images.backend)}, ${shortName(images.frontend)}`]
      : []),
    ...(migrations.length > 0 ? [`  migrations  ${migrations.join(', ')}`] : []),
    ...(backup ? [`  backup      ${backup}`] : []),
    ...(canary
      ? [
          `  canary      ${canary.sent} requests, ${canary.failed} failed, slowest ${duration(canary.slowest)}; WebSocket reopened ${canary.reopened} times`,
          ...canary.failures.map(each => `              ${each}`),
        ]
      : []),
  ].join('\n');
  await notify(config, text, exitCode);
  const hook = hookAfter(release);
  if (hook) await runHook(config, hook, { ...release, exitCode });
  if (outcome === 'done') {
    await reportToSentry(config, release);
    try {
      const kept = reachable(readReleases(config)).slice(0, KEPT);
      await pruneImages(
        config,
        kept.map(target => target.images),
      );
    } catch (error) {
      log.warn(`could not remove old images: ${messageOf(error)}`);
    }
  }
  return { text, json: { ...release, ...(failure ? { error: failure.message } : {}) }, exitCode };
}

/** @returns the hook of what serves now: the new release, or an earlier one, also where a deployment has failed and gone back */
function hookAfter({ kind, outcome }: Release): HookName | undefined {
  if (kind === 'deploy' && outcome === 'done') return 'post-deploy';
  const isOlder = kind === 'rollback' ? outcome === 'done' : outcome === 'rolled back';
  return isOlder ? 'post-rollback' : undefined;
}
