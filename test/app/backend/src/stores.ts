import { Redis, type RedisOptions } from 'ioredis';
import pg from 'pg';
import type { Config } from './config.ts';
import { log } from './log.ts';

export function openDatabase({ databaseUrl, databaseTimeoutMs, instance }: Config): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: instance,
    max: Number(new URL(databaseUrl).searchParams.get('connection_limit') ?? 10), // Prisma's name for it
    connectionTimeoutMillis: databaseTimeoutMs,
  });
  // An idle connection that breaks is replaced by the pool; without a listener the error would end the process.
  pool.on('error', error => log('warn', 'database connection lost', { error }));
  return pool;
}

export function openRedis({ redisUrl }: Config, purpose: string, options: RedisOptions = {}): Redis {
  const redis = new Redis(redisUrl, { connectionName: purpose, ...options });
  redis.on('error', error => log('warn', 'redis connection failed', { purpose, error }));
  return redis;
}

export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'ready') await redis.quit();
  else redis.disconnect(); // quit would wait for a server that is gone
}

/** @returns what the promise gives, or a rejection after `ms` milliseconds: a check must never hang */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
