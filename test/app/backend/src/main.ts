import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type ErrorRequestHandler } from 'express';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { accounts } from './accounts.ts';
import { type Config, readConfig } from './config.ts';
import { content } from './content.ts';
import { health } from './health.ts';
import { openJobs } from './jobs.ts';
import { log, logConsole } from './log.ts';
import { otherRoutes } from './other.ts';
import { openSockets } from './sockets.ts';
import { closeRedis, openDatabase, openRedis } from './stores.ts';
import { watchTraffic } from './traffic.ts';
import { misbehave } from './variant.ts';

const onError: ErrorRequestHandler = (error, req, res, next) => {
  const status = error.status ?? 500;
  if (status >= 500) log('error', 'request failed', { path: req.path, error });
  if (res.headersSent) next(error);
  else res.status(status).json({ error: status >= 500 ? 'something went wrong' : error.message });
};

async function start(config: Config): Promise<void> {
  const other = config.isOther ? await otherRoutes(config) : undefined;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const database = openDatabase(config);
  const redis = openRedis(config, 'api', { maxRetriesPerRequest: 3 });
  const jobs = openJobs(config, database, registry);
  const variant = misbehave(config);

  const app = express();
  const http = createServer({ keepAliveTimeout: config.keepAliveTimeoutMs }, app);
  const sockets = openSockets(config, http, redis, registry);
  const traffic = watchTraffic(http, registry);
  const probes = health(config, registry, {
    database: () => database.query('SELECT 1'),
    redis: () => redis.ping(),
    sockets: async () => {
      if (!sockets.ready()) throw new Error('not connected');
    },
    variant: variant.readiness,
  });

  app.disable('x-powered-by');
  app.set('trust proxy', 1); // exactly the load balancer: nothing further away may say who the client is
  app.use((req, res, next) => {
    // A product sets such headers itself; the load balancer must not double them.
    res.set({
      'X-Instance': config.instance,
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
    });
    if (config.corsOrigin) {
      res.set('Access-Control-Allow-Origin', config.corsOrigin);
      res.set('Access-Control-Allow-Credentials', 'true');
      res.set('Access-Control-Allow-Headers', 'Authorization, Content-Type');
    }
    if (req.method === 'OPTIONS') res.sendStatus(204);
    else next();
  });
  app.use(config.isOther ? '/' : '/api/v1', probes.router);
  app.use(traffic.watch, variant.onRequest);
  app.use('/api/v1', accounts(config, database, redis), content(config, database), jobs.router);
  if (other) app.use(other);
  app.use((_req, res) => res.status(404).json({ error: 'not found' }));
  app.use(onError);

  async function leave(signal: string): Promise<void> {
    log('info', 'leaving', { signal, inFlight: traffic.inFlight() });
    setTimeout(() => {
      log('fatal', 'shutdown took too long', { inFlight: traffic.inFlight() });
      process.exit(1);
    }, config.shutdownTimeoutMs).unref();

    probes.leave();
    traffic.leave();
    const jobsDone = jobs.finish();
    // Whoever has not noticed yet is still served, and told to connect elsewhere next time.
    await sleep(config.lingerMs);
    await sockets.close(); // stops accepting, and resolves when the last request is answered
    await jobsDone;
    await jobs.close();
    await closeRedis(redis);
    await database.end();
    // Nothing is left that could keep the process alive; if something does, the timer above says so.
    log('info', 'stopped');
  }

  let leaving = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (!leaving) leave(signal);
      leaving = true;
    });
  }
  http.listen(config.port, () => {
    log('info', 'listening', { port: (http.address() as AddressInfo).port, version: config.version });
  });
}

logConsole();
process.on('uncaughtException', error => {
  log('fatal', 'crashed', { error });
  process.exit(1);
});
await start(readConfig());
