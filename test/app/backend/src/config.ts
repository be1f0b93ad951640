import { hostname } from 'node:os';

export const variants = [
  'v1',
  'v2',
  'never-ready',
  'crash-under-traffic',
  'errors-after-a-minute',
  'faulty',
  'bad-migration',
  'locking-migration',
  'contracting-migration',
] as const;

export type Variant = (typeof variants)[number];
export type Config = ReturnType<typeof readConfig>;

/** @throws {Error} that lists every variable that is missing or wrong, and no value */
export function readConfig(env = process.env) {
  const wrong: string[] = [];
  const text = (name: string, fallback?: string): string => {
    const value = env[name] || fallback;
    if (value === undefined) wrong.push(`${name} is missing`);
    return value ?? '';
  };
  const count = (name: string, fallback: number): number => {
    const value = Number(env[name] || fallback);
    if (!Number.isSafeInteger(value) || value < 0) wrong.push(`${name} must be a whole number`);
    return value;
  };
  const variant = text('APP_VARIANT', 'v1') as Variant;
  if (!variants.includes(variant)) wrong.push(`APP_VARIANT must be one of ${variants.join(', ')}`);

  const config = {
    port: count('PORT', 3000),
    instance: text('INSTANCE_ID', hostname()),
    version: text('APP_VERSION', variant),
    variant,
    // As an application is that keeps none of the contract's defaults: other.ts.
    isOther: env.APP_CONTRACT === 'other',
    databaseUrl: text('DATABASE_URL'),
    // How long a request waits for a connection to the database before it is answered with 500.
    databaseTimeoutMs: count('DATABASE_TIMEOUT_MS', 5_000),
    redisUrl: text('REDIS_URL'),
    jwtSecret: text('JWT_SECRET'),
    // Accepted as well, and never used to sign: while the secret is replaced, instances of both values serve.
    previousJwtSecret: env.JWT_SECRET_PREVIOUS || undefined,
    corsOrigin: env.CORS_ORIGIN,
    // Above the load balancer's keepalive to its upstreams (60 s by default), so that it's never this side
    // that closes an idle connection which the load balancer is just about to use.
    keepAliveTimeoutMs: count('KEEP_ALIVE_TIMEOUT_MS', 75_000),
    // How long after SIGTERM connections are still accepted: the load balancer needs that long to notice.
    lingerMs: count('SHUTDOWN_LINGER_MS', 3_000),
    // Below stop_grace_period, so that a shutdown that hangs says so before it's killed.
    shutdownTimeoutMs: count('SHUTDOWN_TIMEOUT_MS', 35_000),
    crashAfterRequests: count('CRASH_AFTER_REQUESTS', 300),
    errorsAfterSeconds: count('ERRORS_AFTER_SECONDS', 60),
    // Of the variant `faulty`; 0: it does not.
    faults: {
      errorsPercent: count('FAULT_ERRORS_PERCENT', 0),
      slowMs: count('FAULT_SLOW_MS', 0),
      crashSeconds: count('FAULT_CRASH_SECONDS', 0),
      unreadySeconds: count('FAULT_UNREADY_SECONDS', 0),
    },
  };
  if (config.isOther && env.NODE_ENV !== 'production') wrong.push('NODE_ENV must be production');
  if (wrong.length > 0) throw new Error(`configuration: ${wrong.join('; ')}`);
  return config;
}
