/** One policy for each request to the store: whatever fails and can pass is repeated for S3_RETRY_TIME. */
import type { S3ClientConfig, S3ServiceException } from '@aws-sdk/client-s3';

/** Seconds between attempts: they double from the first to the longest. */
const FIRST_PAUSE = 0.05;
const FIRST_PAUSE_THROTTLED = 1;
const LONGEST_PAUSE = 5;
/** Seconds for which a request is repeated after another has used up the whole time: the store is away. */
const WHEN_AWAY = 2;

/** Codes of answers that pass, whatever their status. */
const PASSING_CODES = ['OperationAborted', 'RequestTimeout', 'RequestTimeoutException'];
const PASSING_STATUS = [408, 425, 429];
/** What the store or its proxy never does. */
const LASTING_STATUS = [501, 505];
const CONNECTION_CALLS = ['connect', 'getaddrinfo', 'read', 'write'];

type Strategy = Extract<
  NonNullable<S3ClientConfig['retryStrategy']>,
  { acquireInitialRetryToken: (...scope: never[]) => unknown }
>;

interface Attempts {
  /**
   * @param throttled whether the store limits requests
   * @returns seconds until the next attempt; undefined: give up
   */
  afterFailure: (throttled?: boolean) => number | undefined;
}

/** Counts the attempts of all requests to one store. */
export interface RetryPolicy {
  begin: () => Attempts;
  succeeded: () => void;
}

/** @param seconds after its first failure in which a request is repeated; 0: each is sent once */
export function retryFor(seconds: number): RetryPolicy {
  let isAway = false;
  return {
    begin: () => {
      let failures = 0;
      let first = 0;
      return {
        afterFailure: (throttled = false) => {
          const now = performance.now() / 1000;
          if (failures++ === 0) first = now;
          const left = first + (isAway ? Math.min(seconds, WHEN_AWAY) : seconds) - now;
          if (left <= 0) {
            isAway = true;
            return undefined;
          }
          const start = throttled ? FIRST_PAUSE_THROTTLED : FIRST_PAUSE;
          const pause = Math.min(start * 2 ** (failures - 1), LONGEST_PAUSE);
          return Math.min(pause * (0.5 + Math.random() / 2), left);
        },
      };
    },
    succeeded: () => {
      isAway = false;
    },
  };
}

/** @returns whether a failure without an advice of the client's own may pass: of the connection, or the store's trouble */
export function mayPass(error: unknown): boolean {
  const { name = '', $metadata } = error as Partial<S3ServiceException>;
  const { syscall = '' } = error as NodeJS.ErrnoException;
  const status = $metadata?.httpStatusCode;
  if (name === 'AbortError') return false;
  if (status === undefined) return CONNECTION_CALLS.includes(syscall);
  if (LASTING_STATUS.includes(status)) return false;
  return status >= 500 || PASSING_STATUS.includes(status) || PASSING_CODES.includes(name);
}

/** @returns the policy as the S3 client takes it; that counts no attempts of other requests, as its own does */
export function strategyOf(policy: RetryPolicy): Strategy {
  const attempts = new WeakMap<object, Attempts>();
  const token = (own: Attempts, count: number, seconds = 0) => {
    const made = { getRetryCount: () => count, getRetryDelay: () => seconds * 1000 };
    attempts.set(made, own);
    return made;
  };
  return {
    acquireInitialRetryToken: async () => token(policy.begin(), 0),
    refreshRetryTokenForRetry: async (last, { error, errorType, retryAfterHint }) => {
      const isPassing = errorType === 'THROTTLING' || errorType === 'TRANSIENT' || mayPass(error);
      const own = attempts.get(last)!;
      const pause = isPassing ? own.afterFailure(errorType === 'THROTTLING') : undefined;
      if (pause === undefined) throw new Error('not repeated'); // the client throws the request's own error
      const wished = retryAfterHint ? (retryAfterHint.getTime() - Date.now()) / 1000 : 0;
      return token(own, last.getRetryCount() + 1, Math.min(Math.max(pause, wished), LONGEST_PAUSE));
    },
    recordSuccess: () => policy.succeeded(),
  };
}
