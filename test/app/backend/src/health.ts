import { Router } from 'express';
import type { Registry } from 'prom-client';
import type { Config } from './config.ts';
import { within } from './stores.ts';

type Check = () => Promise<unknown>;

const uncached = { 'Cache-Control': 'no-store' };

/** The probes of the contract. `checks` are what readiness depends on; liveness depends on nothing. */
export function health(config: Config, registry: Registry, checks: Record<string, Check>) {
  const told = config.isOther ? {} : { version: config.version, instance: config.instance };
  const router = Router();
  let leaving = false;

  router.get('/health', (_req, res) => {
    res.set(uncached).json({ status: 'ok', ...told });
  });

  router.get('/health/ready', async (_req, res) => {
    const names = Object.keys(checks);
    const results = await Promise.allSettled(names.map(name => within(2_000, name, checks[name]!())));
    const failed = names.filter((_, i) => results[i]?.status === 'rejected');
    const status = leaving ? 'leaving' : failed.length > 0 ? 'unavailable' : 'ready';
    res
      .status(status === 'ready' ? 200 : 503)
      .set(uncached)
      .json({ status, failed, ...told });
  });

  router.get('/metrics', async (_req, res) => {
    if (config.isOther) {
      res.status(401).json({ error: 'for administrators' });
      return;
    }
    res
      .set(uncached)
      .type(registry.contentType)
      .send(await registry.metrics());
  });

  return {
    router,
    leave() {
      leaving = true;
    },
  };
}
