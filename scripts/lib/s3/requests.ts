/** What a request to the store was for, why it failed, and what to do next. */
import type { S3ServiceException } from '@aws-sdk/client-s3';
import { Exit, messageOf, OperationalError, operational } from '../core/errors.ts';
import { interrupt, sleep } from '../core/signals.ts';
import { adviceFor } from './advice.ts';
import { type Store, urlOf } from './open-store.ts';

/** For a request that cleans up after a signal: it can't be interrupted, so it must end by itself. */
const CLEAN_UP_SECONDS = 30;

/** Options of a request that a signal ends. */
export const ABORTABLE = { abortSignal: interrupt };

/** @returns options of a request that cleans up: a signal does not end it, a timeout does */
export function cleaningUp(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(CLEAN_UP_SECONDS * 1000) };
}

/**
 * Runs a request. The client repeats one that got no answer or a server error.
 *
 * @param verb what it is for, before the object's address: `could not <verb> s3://…`
 * @throws OperationalError with the reason and what to do next; exit code 4
 */
export async function request<T>(
  store: Store,
  verb: string,
  name: string,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    interrupt.throwIfAborted();
    const local = operational(error);
    if (local instanceof OperationalError) throw local;
    const message = `could not ${verb} ${urlOf(store, name)}: ${explain(error)}`;
    throw new OperationalError(message, adviceFor(error, verb, store.settings), Exit.offsite, {
      cause: error,
    });
  }
}

/**
 * Like {@link request}, for one whose action reads the answer's body. The client does not repeat a request when
 * the body breaks off, so this does; it does not repeat what the client has already repeated.
 *
 * @param received bytes so far; when they grow, the time of {@link openStore} begins again
 */
export async function requestBody<T>(
  store: Store,
  verb: string,
  name: string,
  action: () => Promise<T>,
  received: () => number = () => 0,
): Promise<T> {
  let attempts = store.retries.begin();
  for (;;) {
    const before = received();
    try {
      return await request(store, verb, name, action);
    } catch (error) {
      const { cause, exitCode } = error as OperationalError;
      const byClient = (cause as Partial<S3ServiceException>)?.$metadata !== undefined;
      if (interrupt.aborted || byClient || exitCode !== Exit.offsite) throw error;
      if (received() > before) attempts = store.retries.begin();
      const pause = attempts.afterFailure();
      if (pause === undefined) throw error;
      await sleep(pause);
    }
  }
}

/** @returns whether a request failed because the key lacks a right */
export function isDenied({ cause }: OperationalError): boolean {
  return (cause as Partial<S3ServiceException> | undefined)?.$metadata?.httpStatusCode === 403;
}

function explain(error: unknown): string {
  const { name, $metadata } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode ? ` (HTTP ${$metadata.httpStatusCode})` : '';
  if (name === 'AbortError') return 'no answer in time';
  const message = messageOf(error);
  return message === name || !name || name === 'Error' ? message + status : `${name}: ${message}${status}`;
}
