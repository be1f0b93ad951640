import { randomBytes } from 'node:crypto';
import express, { type Request, type RequestHandler, type Response, Router } from 'express';
import type { Redis } from 'ioredis';
import type { Pool } from 'pg';
import type { Config } from './config.ts';
import { hashPassword, passwordMatches, readToken, signToken } from './token.ts';

const day = 24 * 60 * 60;
const sessionKey = (id: string): string => `session:${id}`;
const sessionOf = (req: Request): string | undefined =>
  /(?:^|; *)session=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1];

/** Registration, login by token and by cookie, and what belongs to one user alone. */
export function accounts(config: Config, database: Pool, redis: Redis): Router {
  const router = Router();

  const credentials: RequestHandler = (req, res, next) => {
    const { email, password } = req.body ?? {};
    if (
      typeof email === 'string' &&
      email.includes('@') &&
      typeof password === 'string' &&
      password.length >= 8
    )
      next();
    else res.status(400).json({ error: 'an email and a password of 8 characters or more' });
  };

  async function userOf(req: Request): Promise<string | undefined> {
    const bearer = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    if (bearer) return readToken(bearer, config.jwtSecret, config.previousJwtSecret);
    const session = sessionOf(req);
    return (session && (await redis.get(sessionKey(session)))) || undefined;
  }

  function setSession(res: Response, id: string, maxAge: number): void {
    res.set('Set-Cookie', `session=${id}; Path=/; Max-Age=${maxAge}; HttpOnly; Secure; SameSite=Lax`);
  }

  router.post('/auth/register', express.json(), credentials, async (req, res) => {
    const { rows } = await database.query(
      'INSERT INTO users (email, password) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id, email',
      [req.body.email, await hashPassword(req.body.password)],
    );
    if (rows[0]) res.status(201).json(rows[0]);
    else res.status(409).json({ error: 'this email is registered' });
  });

  router.post('/auth/login', express.json(), credentials, async (req, res) => {
    const { rows } = await database.query('SELECT id, password FROM users WHERE email = $1', [
      req.body.email,
    ]);
    if (!rows[0] || !(await passwordMatches(req.body.password, rows[0].password))) {
      res.status(401).json({ error: 'wrong email or password' });
      return;
    }
    const session = randomBytes(24).toString('base64url');
    await redis.set(sessionKey(session), rows[0].id, 'EX', day);
    setSession(res, session, day);
    res.json({ token: signToken(rows[0].id, config.jwtSecret, day) });
  });

  router.post('/auth/logout', async (req, res) => {
    const session = sessionOf(req);
    if (session) await redis.del(sessionKey(session));
    setSession(res, '', 0);
    res.status(204).end();
  });

  // No Cache-Control, on purpose: that no cache ever gives one user what belongs to another must not depend
  // on each handler remembering a header.
  router.get('/me', async (req, res) => {
    const user = await userOf(req);
    const { rows } = await database.query('SELECT id, email, created_at FROM users WHERE id = $1', [
      user ?? null,
    ]);
    if (rows[0]) res.json(rows[0]);
    else res.status(401).json({ error: 'log in first' });
  });

  return router;
}
