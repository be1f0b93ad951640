import { existsSync } from 'node:fs';
import type { RequestHandler } from 'express';
import type { Config } from './config.ts';

/** Where a test lets the variant that answers with errors begin, whatever the time is. */
const FAIL_NOW = '/tmp/fail-now';

/** What the variants that must not reach production do wrong. The others do nothing here. */
export function misbehave({ variant, crashAfterRequests, errorsAfterSeconds }: Config) {
  let requests = 0;

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
    } else {
      next();
    }
  };

  async function readiness(): Promise<void> {
    if (variant === 'never-ready') throw new Error('this variant is never ready');
  }

  return { onRequest, readiness };
}
