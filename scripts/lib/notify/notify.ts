import { basename } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { log, shown } from '../core/log.ts';
import { runHook } from '../hooks/hooks.ts';
import { HttpError, post } from './http-post.ts';
import { type Channel, type Message, Refused, send, sendQueue } from './outbox.ts';

/** The receivers of notifications, and the form of a message there. */
const CHANNELS = {
  slack: {
    name: 'Slack',
    variable: 'SLACK_WEBHOOK_URL',
    address: (config: Config) => config.slackWebhook,
    body: ({ app, environment, time, text }: Message, late: boolean) => ({
      text: `[${app} ${environment}] ${late ? `(${utc(time)}, sent late) ` : ''}${text}`,
    }),
  },
  webhook: {
    name: 'the webhook',
    variable: 'WEBHOOK_URL',
    address: (config: Config) => config.webhook,
    body: (message: Message) => message,
  },
};

/**
 * Sends a notification to all configured channels. A message that can't be sent is a warning, never a failure of the run;
 * it is queued and sent before the next one.
 *
 * The hook `on-alert` gets those about a failure, and all about a change of a condition.
 *
 * @param exitCode of the run that the message is about
 * @param isAlert default: whether the run has failed
 */
export async function notify(
  config: Config,
  text: string,
  exitCode?: number,
  isAlert = exitCode !== undefined && exitCode !== 0,
): Promise<void> {
  const { app, environment } = config;
  const message: Message = {
    app,
    environment,
    time: new Date().toISOString(),
    script: basename(process.argv[1] ?? ''),
    exitCode,
    text: shown(text),
  };
  await Promise.all(channelsOf(config).map(channel => send(config, channel, message)));
  if (isAlert) await runHook(config, 'on-alert', { text: message.text, exitCode: exitCode ?? null });
}

/** Sends the queued messages, without a new one. */
export async function sendQueuedMessages(config: Config): Promise<void> {
  await Promise.all(channelsOf(config).map(channel => sendQueue(config, channel)));
}

function channelsOf(config: Config): Channel[] {
  return Object.entries(CHANNELS).flatMap(([id, { name, address, body }]) => {
    const url = address(config);
    return url ? [{ id, name, post: (each, late) => postMessage(url, body(each, late)) }] : [];
  });
}

/**
 * Pings the dead man's switch. A ping is never queued: sent late, it would be wrong.
 *
 * @param state `start`, or the exit code, as in https://healthchecks.io/docs/http_api/
 */
export async function ping(config: Config, state: 'start' | number): Promise<void> {
  if (!config.pingUrl) return;
  try {
    await post(`${config.pingUrl.replace(/\/$/, '')}/${state}`);
  } catch (error) {
    log.warn(`could not notify the dead-man’s-switch: ${messageOf(error)}`);
  }
}

/** Logs which notifications are not configured. */
export function logMissingChannels(config: Config): void {
  const missing = Object.values(CHANNELS).flatMap(({ variable, address }) =>
    address(config) ? [] : [variable],
  );
  if (!config.pingUrl) missing.push('BACKUP_PING_URL');
  if (missing.length > 0) log.info(`notifications not configured: ${missing.join(', ')}`);
}

/** Statuses that refuse the message itself. Sent again, it would block all later ones. */
const REFUSED = [400, 413, 422];

async function postMessage(url: string, body: object): Promise<void> {
  try {
    await post(url, body);
  } catch (error) {
    throw error instanceof HttpError && REFUSED.includes(error.status) ? new Refused(error.message) : error;
  }
}
