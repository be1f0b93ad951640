import { existsSync } from 'node:fs';
import type { RequestHandler } from 'express';
import type { Config } from './config.ts';

/** Where a test lets the variant that answers with errors begin, whatever the time is. */
const FAIL_NOW = '/tmp/fail-now';

/** What the variants that must not reach production do wrong. The others do nothing here. */
export function misbehave({ variant, crashAfterRequests, errorsAfterSeconds, faults }: Config) {
  let requests = 0;
  const isFaulty = variant === 'faulty';
  if (isFaulty && faults.crashSeconds > 0) {
    setTimeout(() => {
      throw new Error(`this variant crashes after ${faults.crashSeconds} s`);
    }, faults.crashSeconds * 1000);
  }

  const onRequest: RequestHandler = (_req, res, next) => {
    requests += 1;
    if (variant === 'crash-under-traffic' && requests > crashAfterRequests) {
      setImmediate(() => {
        throw new Error(`this variant crashes after ${crashAfterRequests} requests`);
      });
    } else if (
      variant === 'errors-after-a-minute' &&
      (process.uptime() > errorsAfterSeconds || existsSync(FAIL_NOW))
    ) {
      res.status(500).json({ error: `this variant fails after ${errorsAfterSeconds} s` });
    } else if (isFaulty && requests % 100 < faults.errorsPercent) {
      res.status(500).json({ error: `this variant fails for ${faults.errorsPercent} %` });
    } else if (isFaulty && faults.slowMs > 0) {
      setTimeout(next, faults.slowMs);
    } else {
      next();
    }
  };

  async function readiness(): Promise<void> {
    if (variant === 'never-ready') throw new Error('this variant is never ready');
    if (isFaulty && faults.unreadySeconds > 0 && process.uptime() > faults.unreadySeconds)
      throw new Error(`this variant is not ready after ${faults.unreadySeconds} s`);
  }

  return { onRequest, readiness };
}
