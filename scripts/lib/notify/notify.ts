import { basename } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { utc } from '../core/format.ts';
import { log, redact } from '../core/log.ts';
import { post, Unwelcome } from './http-post.ts';
import { type Channel, deliver, type Message, Refused, resend } from './outbox.ts';

/** Where messages go: how one reads there. */
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
 * Tells people. A message that can't be sent is a warning, never a failure of what it is about; it is kept, and sent
 * before the next one.
 * @param exitCode of the run that it is about
 */
export async function notify(config: Config, text: string, exitCode?: number): Promise<void> {
  const { app, environment } = config;
  const message: Message = {
    app,
    environment,
    time: new Date().toISOString(),
    script: basename(process.argv[1] ?? ''),
    exitCode,
    text: redact(text),
  };
  await Promise.all(channelsOf(config).map(channel => deliver(config, channel, message)));
}

/** Sends what could not be sent before, without anything new to tell. */
export async function sendKeptMessages(config: Config): Promise<void> {
  await Promise.all(channelsOf(config).map(channel => resend(config, channel)));
}

function channelsOf(config: Config): Channel[] {
  return Object.entries(CHANNELS).flatMap(([id, { name, address, body }]) => {
    const url = address(config);
    const send = (each: Message, late: boolean) => sendTo(url!, body(each, late));
    return url ? [{ id, name, send }] : [];
  });
}

/**
 * Tells the dead man's switch that a run starts or has ended. Never kept: a late one would say what is not so.
 * @param state `start`, or the exit code; as https://healthchecks.io/docs/http_api/ takes them
 */
export async function ping(config: Config, state: 'start' | number): Promise<void> {
  if (!config.pingUrl) return;
  try {
    await post(`${config.pingUrl.replace(/\/$/, '')}/${state}`);
  } catch (error) {
    log.warn(`could not notify the dead-man’s-switch: ${messageOf(error)}`);
  }
}

/** Says once which notifications are not configured. */
export function sayWhoIsTold(config: Config): void {
  const missing = [
    ...Object.values(CHANNELS).map(({ variable, address }) => (address(config) ? '' : variable)),
    config.pingUrl ? '' : 'BACKUP_PING_URL',
  ].filter(Boolean);
  if (missing.length > 0) log.info(`notifications not configured: ${missing.join(', ')}`);
}

/** Statuses with which a message itself is refused: to send it again would stop all those behind it. */
const REFUSED = [400, 413, 422];

async function sendTo(url: string, body: object): Promise<void> {
  try {
    await post(url, body);
  } catch (error) {
    const refused = error instanceof Unwelcome && REFUSED.includes(error.status);
    throw refused ? new Refused(error.message) : error;
  }
}
