import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request, Router } from 'express';
import type { Pool } from 'pg';
import type { Config } from './config.ts';

const longest = 120_000;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @returns `?ms=` in milliseconds, at most two minutes */
const delayOf = (req: Request): number => Math.min(Math.max(Number(req.query.ms) || 0, 0), longest);

/** What a product does: something everybody may read, and several ways to be busy for a while. */
export function content({ variant, instance }: Config, database: Pool): Router {
  const router = Router();
  const columns = variant === 'contracting-migration' ? 'id, title' : 'id, title, subtitle';

  router.get('/articles', async (_req, res) => {
    const { rows } = await database.query(`SELECT ${columns} FROM articles ORDER BY id`);
    res.set('Cache-Control', 'public, max-age=300').json({ articles: rows, generatedAt: new Date() });
  });

  router.get('/whoami', (req, res) => {
    res
      .set('Cache-Control', 'no-store')
      .json({ ip: req.ip, protocol: req.protocol, host: req.host, headers: req.headers });
  });

  router.get('/slow', async (req, res) => {
    await sleep(delayOf(req));
    res.set('Cache-Control', 'no-store').json({ waitedMs: delayOf(req) });
  });

  // Not idempotent. The delay comes after the row: a request repeated because no answer came is a second row.
  router.post('/orders', express.json(), async (req, res) => {
    const { id, note } = req.body ?? {};
    if (!uuid.test(id)) {
      res.status(400).json({ error: 'id must be a UUID' });
      return;
    }
    if (variant === 'v2') {
      await database.query('INSERT INTO orders (id, instance, note) VALUES ($1, $2, $3)', [
        id,
        instance,
        note,
      ]);
    } else {
      await database.query('INSERT INTO orders (id, instance) VALUES ($1, $2)', [id, instance]);
    }
    await sleep(delayOf(req));
    res.status(201).json({ id });
  });

  // Read as it comes and never kept: an upload may be larger than the memory limit.
  router.post('/uploads', async (req, res) => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of req) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const sha256 = hash.digest('hex');
    await database.query('INSERT INTO uploads (bytes, sha256, instance) VALUES ($1, $2, $3)', [
      bytes,
      sha256,
      instance,
    ]);
    res.status(201).json({ bytes, sha256 });
  });

  return router;
}
