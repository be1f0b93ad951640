/** What a request to the store was for, why it failed, and when it is worth another try. */
import type { S3ServiceException } from '@aws-sdk/client-s3';
import { Exit, messageOf, OperationalError, operational } from '../core/errors.ts';
import { interrupt, sleep } from '../core/signals.ts';

/** Options of a request that a signal ends. */
export const ABORTABLE = { abortSignal: interrupt };

/**
 * Like {@link attempt}, several times: the client repeats a request, but not when an answer's body breaks off.
 *
 * @param attempts after which it gives up
 * @param done grows as long as it is worth going on, and the count starts again
 */
export async function persist<T>(
  attempts: number,
  verb: string,
  url: string,
  action: () => Promise<T>,
  done: () => number = () => 0,
): Promise<T> {
  for (let count = 1; ; count++) {
    const before = done();
    try {
      return await attempt(verb, url, action);
    } catch (error) {
      const cause = (error as Error).cause as Partial<S3ServiceException & NodeJS.ErrnoException>;
      const hopeless =
        cause?.$metadata !== undefined || (error as OperationalError).exitCode !== Exit.offsite;
      if (done() > before) count = 1;
      if (interrupt.aborted || hopeless || count === attempts) throw error;
      await sleep(0.1 * 2 ** (count - 1));
    }
  }
}

/**
 * Runs a request. The client itself repeats one that got no answer or a server error.
 *
 * @throws OperationalError with what it was for and what to do next; exit code 4
 */
export async function attempt<T>(verb: string, url: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    interrupt.throwIfAborted();
    const here = operational(error);
    if (here instanceof OperationalError) throw here;
    throw new OperationalError(`could not ${verb} ${url}: ${explain(error)}`, advice(error), Exit.offsite, {
      cause: error,
    });
  }
}

function explain(error: unknown): string {
  const { name, $metadata } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode ? ` (HTTP ${$metadata.httpStatusCode})` : '';
  if (name === 'AbortError') return 'no answer in time';
  const message = messageOf(error);
  return message === name || !name || name === 'Error' ? message + status : `${name}: ${message}${status}`;
}

function advice(error: unknown): string {
  const { name, $metadata } = error as Partial<S3ServiceException>;
  if (name === 'RequestTimeTooSkewed') return 'correct this machine’s clock: `timedatectl` shows it.';
  if (name === 'NoSuchBucket') return 'check S3_BUCKET and AWS_REGION; the bucket is never made here.';
  if ($metadata?.httpStatusCode === 403)
    return 'check AWS_ACCESS_KEY_ID, its secret, and what the key may do.';
  if ($metadata?.httpStatusCode && $metadata.httpStatusCode >= 500)
    return 'S3 returned a server error: try again later.';
  return 'check S3_ENDPOINT, S3_BUCKET and the network.';
}
