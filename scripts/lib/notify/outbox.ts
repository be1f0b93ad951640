import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { plural } from '../core/format.ts';
import { withFileLock } from '../core/lock.ts';
import { log } from '../core/log.ts';

/** A notification, as the generic webhook gets it. */
export interface Message {
  app: string;
  environment: string;
  /** Of the event, not of the sending. */
  time: string;
  script: string;
  /** Of the run that the message is about. */
  exitCode?: number | undefined;
  text: string;
}

/** A receiver of notifications. */
export interface Channel {
  id: string;
  name: string;
  /** @throws {@link Refused} when the receiver will never accept this message */
  post: (message: Message, late: boolean) => Promise<void>;
}

/** The receiver will never accept this message. */
export class Refused extends Error {}

/** Queued messages of one channel. */
const MAX_QUEUED = 100;
/** More than the time that one run waits for a receiver that does not answer. */
const LOCK_SECONDS = 30;

let count = 0;

/** A channel's queue: one file a message in `<STATE_DIR>/outbox`. */
function queueOf({ stateDir, environment }: Config, channel: Channel) {
  const directory = join(stateDir, 'outbox');
  const prefix = `${environment}.${channel.id}.`;
  const names = () =>
    readdirSync(directory)
      .filter(name => name.startsWith(prefix) && name.endsWith('.json'))
      .sort();
  return { channel, directory, prefix, names };
}
type Queue = ReturnType<typeof queueOf>;

/**
 * Sends a message after those of the same channel that are queued. It is queued first and deleted after it is sent, so
 * that a killed run loses nothing. A lock keeps two runs from sending the same message; only a kill between the answer of
 * the receiver and the deletion sends a message twice.
 */
export async function send(config: Config, channel: Channel, message: Message): Promise<void> {
  const queue = queueOf(config, channel);
  // Names sort by time. A process here and one in a container can have the same id.
  const unique = `${String(++count).padStart(4, '0')}.${process.pid}.${Math.random().toString(36).slice(2, 8)}`;
  const name = `${queue.prefix}${message.time.replaceAll(':', '-')}.${unique}.json`;
  try {
    mkdirSync(queue.directory, { recursive: true, mode: 0o700 });
    await writeWhole(join(queue.directory, name), JSON.stringify(message));
  } catch (error) {
    return sendUnqueued(channel, message, error); // a full disk is worth a notification
  }
  await sendAll(queue, name);
}

/** Sends the queued messages of a channel. */
export async function sendQueue(config: Config, channel: Channel): Promise<void> {
  const queue = queueOf(config, channel);
  if (existsSync(queue.directory) && queue.names().length > 0) await sendAll(queue);
}

async function sendAll(queue: Queue, own?: string): Promise<void> {
  const { directory, prefix, channel } = queue;
  const options = { purpose: 'wait for the messages of another run', evenInterrupted: true };
  try {
    await withFileLock(join(directory, `${prefix}lock`), LOCK_SECONDS, options, () => sendEach(queue, own));
  } catch (error) {
    log.warn(`could not notify ${channel.name}: ${messageOf(error)}; queued, and sent with the next message`);
    dropOldest(queue);
  }
}

async function sendUnqueued(channel: Channel, message: Message, cause: unknown): Promise<void> {
  try {
    await channel.post(message, false);
  } catch (error) {
    log.warn(
      `could not notify ${channel.name}: ${messageOf(error)}; could not queue it: ${messageOf(cause)}`,
    );
  }
}

/** @throws the error of the first message that could not be sent: one that is down is not tried with the others */
async function sendEach({ directory, channel, names }: Queue, own?: string): Promise<void> {
  let late = 0;
  for (const name of names()) {
    const path = join(directory, name);
    const message = read(path);
    try {
      if (message) await channel.post(message, name !== own);
      if (name !== own) late++;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // In the queue it would block all later ones.
      log.warn(`${channel.name} refused a message, which is dropped: ${error.message}: ${message!.text}`);
    }
    rmSync(path);
  }
  if (late > 0) log.info(`sent ${plural(late, 'queued message')} to ${channel.name}`);
}

/** @returns a queued message; undefined where the file is damaged */
function read(path: string): Message | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    log.warn(`${path} is not a message, and is dropped: ${messageOf(error)}`);
    return undefined;
  }
}

function dropOldest({ directory, channel, names }: Queue): void {
  const surplus = names().slice(0, -MAX_QUEUED);
  if (surplus.length === 0) return;
  for (const name of surplus) rmSync(join(directory, name), { force: true });
  log.warn(
    `more than ${MAX_QUEUED} messages for ${channel.name} are queued: dropped the oldest ${surplus.length}`,
  );
}
