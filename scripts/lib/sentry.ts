import type { Config } from './config.ts';
import { messageOf } from './errors.ts';
import { log } from './log.ts';
import type { Release } from './releases.ts';

const TIMEOUT_SECONDS = 10;

/**
 * Tells Sentry which release serves where, as https://docs.sentry.io/api/releases/ takes it. What can't be told is a
 * warning.
 */
export async function tellSentry({ sentry, environment }: Config, { release, time }: Release): Promise<void> {
  if (!sentry) {
    log.info('Sentry: not configured (SENTRY_ORG, SENTRY_PROJECT, SENTRY_AUTH_TOKEN)');
    return;
  }
  const { url, organization, project, token } = sentry;
  const releases = `${url.replace(/\/$/, '')}/api/0/organizations/${organization}/releases/`;
  const post = async (to: string, body: unknown) => {
    const response = await fetch(to, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
    });
    await response.body?.cancel();
    // 208: Sentry knows it already.
    if (!response.ok) throw new Error(`it answered ${response.status}`);
  };
  try {
    await post(releases, { version: release, projects: [project], dateReleased: time });
    await post(`${releases}${encodeURIComponent(release)}/deploys/`, { environment, dateStarted: time });
    log.done(`Sentry knows of ${release} in ${environment}`);
  } catch (error) {
    log.warn(`could not tell Sentry: ${messageOf((error as Error).cause ?? error)}`);
  }
}
