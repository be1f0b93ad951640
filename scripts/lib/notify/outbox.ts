import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { run } from '../core/shell.ts';

/** What is told, as the generic webhook gets it. */
export interface Message {
  app: string;
  environment: string;
  /** When it was told, which is not when it was sent. */
  time: string;
  script: string;
  /** Of the run that it is about. */
  exitCode?: number | undefined;
  text: string;
}

/** One way to people. */
export interface Channel {
  id: string;
  name: string;
  /** @throws {@link Refused} when the receiver will never take this message */
  send: (message: Message, late: boolean) => Promise<void>;
}

/** The receiver takes no such message, now or later. */
export class Refused extends Error {}

/** Of one channel. */
const MOST_KEPT = 100;
/** Longer than one run waits for a receiver that does not answer. */
const LOCK_SECONDS = 30;

let count = 0;

/**
 * Sends a message, after those of the same channel that are still kept. It is kept first and deleted when it is sent, so
 * that a kill loses nothing, and all sending is done under a lock of the kernel, so that two runs don't send the same;
 * only a kill between the receiver's answer and the deletion makes a message come twice.
 */
export async function deliver(config: Config, channel: Channel, message: Message): Promise<void> {
  const directory = join(config.stateDir, 'outbox');
  const prefix = `${config.environment}.${channel.id}.`;
  // Names in the order of time. Two processes of one number can be: one here, one in a container.
  const unique = `${String(++count).padStart(4, '0')}.${process.pid}.${Math.random().toString(36).slice(2, 8)}`;
  const name = `${prefix}${message.time.replaceAll(':', '-')}.${unique}.json`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    await writeWhole(join(directory, name), JSON.stringify(message));
  } catch (error) {
    return sendAtOnce(channel, message, error); // a full disk is what somebody should hear of
  }
  await sendAll(directory, prefix, channel, name);
}

/** Sends what is kept for a channel, if anything is. */
export async function resend(config: Config, channel: Channel): Promise<void> {
  const directory = join(config.stateDir, 'outbox');
  const prefix = `${config.environment}.${channel.id}.`;
  if (existsSync(directory) && keptOf(directory, prefix).length > 0)
    await sendAll(directory, prefix, channel);
}

async function sendAll(directory: string, prefix: string, channel: Channel, own?: string): Promise<void> {
  const lock = openSync(join(directory, `${prefix}lock`), 'a', 0o600);
  try {
    await run(['flock', '-w', String(LOCK_SECONDS), '0'], {
      purpose: 'wait for another run’s messages',
      stdin: lock,
      evenInterrupted: true,
    });
    await sendKept(directory, prefix, channel, own);
  } catch (error) {
    log.warn(`could not notify ${channel.name}: ${messageOf(error)}; kept, and sent with the next`);
    dropOldest(directory, prefix, channel);
  } finally {
    closeSync(lock);
  }
}

async function sendAtOnce(channel: Channel, message: Message, cause: unknown): Promise<void> {
  try {
    await channel.send(message, false);
  } catch (error) {
    log.warn(`could not notify ${channel.name}: ${messageOf(error)}; nor keep it: ${messageOf(cause)}`);
  }
}

const keptOf = (directory: string, prefix: string) =>
  readdirSync(directory)
    .filter(name => name.startsWith(prefix) && name.endsWith('.json'))
    .sort();

/** @throws what the first message that could not be sent met: a receiver that is down is not asked for each */
async function sendKept(directory: string, prefix: string, channel: Channel, own?: string): Promise<void> {
  let late = 0;
  for (const name of keptOf(directory, prefix)) {
    const path = join(directory, name);
    const message = parse(path);
    try {
      if (message) await channel.send(message, name !== own);
      if (name !== own) late++;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // It would hold up all that come after it.
      log.warn(`${channel.name} refuses a message, which is dropped: ${error.message}: ${message!.text}`);
    }
    rmSync(path);
  }
  if (late > 0) log.info(`${channel.name} got ${plural(late, 'message')} that had been kept`);
}

/** @returns a kept message, or undefined where a disk has lost it */
function parse(path: string): Message | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    log.warn(`${path} is no message, and is dropped: ${messageOf(error)}`);
    return undefined;
  }
}

function dropOldest(directory: string, prefix: string, channel: Channel): void {
  const surplus = keptOf(directory, prefix).slice(0, -MOST_KEPT);
  if (surplus.length === 0) return;
  for (const name of surplus) rmSync(join(directory, name), { force: true });
  log.warn(
    `more than ${MOST_KEPT} messages for ${channel.name} are kept: the oldest ${surplus.length} dropped`,
  );
}
