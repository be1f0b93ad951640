import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { post } from '../notify/http-post.ts';
import type { Release } from './releases.ts';

/** Reports to Sentry which release serves where: https://docs.sentry.io/api/releases/. A failure is a warning. */
export async function reportToSentry(
  { sentry, environment }: Config,
  { release, time }: Release,
): Promise<void> {
  if (!sentry) {
    log.info('Sentry: not configured (SENTRY_ORG, SENTRY_PROJECT, SENTRY_AUTH_TOKEN)');
    return;
  }
  const { url, organization, project, token } = sentry;
  const releases = `${url.replace(/\/$/, '')}/api/0/organizations/${organization}/releases/`;
  const headers = { Authorization: `Bearer ${token}` };
  try {
    await post(releases, { version: release, projects: [project], dateReleased: time }, headers); // 208: it exists already
    const deploys = `${releases}${encodeURIComponent(release)}/deploys/`;
    await post(deploys, { environment, dateStarted: time }, headers);
    log.done(`reported ${release} in ${environment} to Sentry`);
  } catch (error) {
    log.warn(`could not report to Sentry: ${messageOf(error)}`);
  }
}
