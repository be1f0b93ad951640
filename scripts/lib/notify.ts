import type { Config } from './config.ts';
import { messageOf } from './errors.ts';
import { log, redact } from './log.ts';

const TIMEOUT_SECONDS = 10;

/** Tells people. A message that can't be sent is a warning, never a failure of what it is about. */
export async function notify(config: Config, text: string): Promise<void> {
  if (!config.slackWebhook) return;
  const body = JSON.stringify({ text: `[${config.app} ${config.environment}] ${redact(text)}` });
  await send('Slack', config.slackWebhook, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
}

/**
 * Tells the dead man's switch that a run starts or has ended.
 * @param state `start`, or the exit code; as https://healthchecks.io/docs/http_api/ takes them
 */
export async function ping(config: Config, state: 'start' | number): Promise<void> {
  if (!config.pingUrl) return;
  await send('the dead-man’s-switch', `${config.pingUrl.replace(/\/$/, '')}/${state}`, { method: 'POST' });
}

/** Says once which notifications are not configured. */
export function sayWhoIsTold(config: Config): void {
  const missing = [
    ...(config.slackWebhook ? [] : ['SLACK_WEBHOOK_URL']),
    ...(config.pingUrl ? [] : ['BACKUP_PING_URL']),
  ];
  if (missing.length > 0) log.info(`notifications not configured: ${missing.join(', ')}`);
}

async function send(to: string, url: string, init: RequestInit): Promise<void> {
  try {
    // Not bound to the interrupt: an interrupted run is just what somebody should hear of.
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
  } catch (error) {
    const cause = (error as Error).cause;
    log.warn(`could not notify ${to}: ${messageOf(cause ?? error)}`);
  }
}
