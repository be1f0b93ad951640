import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import express, { Router } from 'express';
import type { Pool } from 'pg';
import { Gauge, type Registry } from 'prom-client';
import type { Config } from './config.ts';
import { log } from './log.ts';
import { closeRedis, openRedis, within } from './stores.ts';

/** A queue, its worker, and the routes to fill and to watch it. */
export function openJobs(config: Config, database: Pool, registry: Registry) {
  // A worker waits for jobs as long as it takes; a request must not wait for a Redis that is gone.
  const workerRedis = openRedis(config, 'worker', { maxRetriesPerRequest: null });
  const queueRedis = openRedis(config, 'queue');
  const queue = new Queue('jobs', {
    connection: queueRedis,
    defaultJobOptions: { attempts: 3, removeOnComplete: 10_000, removeOnFail: 10_000 },
  });

  const worker = new Worker(
    'jobs',
    async job => {
      await sleep(job.data.ms);
      await database.query('INSERT INTO job_runs (job_id, instance) VALUES ($1, $2)', [
        job.id,
        config.instance,
      ]);
      return { instance: config.instance };
    },
    { connection: workerRedis, concurrency: 5 },
  );
  worker.on('failed', (job, error) => log('error', 'job failed', { job: job?.id, error }));
  queue.on('error', error => log('warn', 'queue failed', { error }));
  worker.on('error', error => log('warn', 'worker failed', { error }));

  new Gauge({
    name: 'queue_jobs',
    help: 'Jobs in the queue, by state',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const counts = await within(1_000, 'redis', queue.getJobCounts()).catch(() => ({}));
      this.reset();
      for (const [state, count] of Object.entries<number>(counts)) this.set({ state }, count);
    },
  });

  const router = Router();
  router.post('/jobs', express.json(), async (req, res) => {
    const job = await queue.add('wait', { ms: Math.min(Number(req.body?.ms) || 0, 60_000) });
    res.status(202).json({ id: job.id });
  });
  router.get('/jobs/:id', async (req, res) => {
    const job = await queue.getJob(req.params.id);
    if (!job) res.status(404).json({ error: 'no such job' });
    else
      res
        .set('Cache-Control', 'no-store')
        .json({ id: job.id, state: await job.getState(), result: job.returnvalue });
  });

  return {
    router,
    /** Takes no more jobs; resolves when those under way are done. Without Redis there is no end to wait for. */
    finish: () => worker.close(workerRedis.status !== 'ready'),
    async close() {
      await queue.close();
      await Promise.all([workerRedis, queueRedis].map(closeRedis));
    },
  };
}
