import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type RequestHandler, Router } from 'express';
import type { Config } from './config.ts';

/**
 * What an application has beside the contract's defaults: files below its working directory, an upload of another path, a
 * page for administrators that has no login of its own, and a webhook outside of /api.
 *
 * @throws when it can't write its files
 */
export async function otherRoutes(config: Config): Promise<Router> {
  const log = join('logs', 'combined.log');
  const temporary = join('uploads', 'temp');
  await mkdir('logs', { recursive: true });
  await mkdir(temporary, { recursive: true });
  await appendFile(log, `started as ${config.instance}\n`);

  const upload: RequestHandler = async (req, res) => {
    const file = join(temporary, crypto.randomUUID());
    try {
      await pipeline(req, createWriteStream(file));
      const kept = await readFile(file);
      res.status(201).json({ bytes: kept.length, sha256: createHash('sha256').update(kept).digest('hex') });
    } finally {
      await rm(file, { force: true });
    }
  };
  const router = Router();
  router.post('/api/v1/media/upload', upload);
  router.get('/admin/queues', (req, res) => {
    const seen = req.get('Authorization') ? 'credentials' : 'no credentials';
    res
      .set('Cache-Control', 'public, max-age=60')
      .type('html')
      .send(`<html><title>Queues</title><p>${seen}</p></html>`);
  });
  router.post('/admin/queues/api/retry', (_req, res) => res.json({ retried: 1 }));
  router.post('/webhooks/payments', (_req, res) => res.json({ received: true }));
  return router;
}
