/**
 * A rotation of a secret in this process, against {@link dockerModel}, with the passwords of PostgreSQL and Redis as values. At
 * each change, every backend that gets requests must have a login that the stores take, and take what another one has signed; and
 * so must a backend that would be created from the files at that moment.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../scripts/lib/config/config.ts';
import { valuesOf } from '../../../scripts/lib/config/env-file.ts';
import type { Release } from '../../../scripts/lib/deploy/releases.ts';
import type { Rotation } from '../../../scripts/lib/secrets/rotation-journal.ts';
import { importCopy, interrupt, loadConfig, root } from './deployment-copy.ts';
import { type Point, type Run, runProcess } from './deployment-process.ts';
import { type DockerModel, dockerModel } from './docker-model.ts';

const rotations = await importCopy<typeof import('../../../scripts/lib/secrets/run-rotation.ts')>(
  'lib/secrets/run-rotation.ts',
);
const journals = await importCopy<typeof import('../../../scripts/lib/secrets/rotation-journal.ts')>(
  'lib/secrets/rotation-journal.ts',
);
interrupt.listenForSignals();

const IMAGES = { backend: 'shop/backend:1', frontend: 'shop/frontend:1' };
const FILES = ['.env.production', '.env.production.app'].map(name => join(root, name)) as [string, string];
export const OLD = Object.fromEntries(
  ['superuser', 'app', 'backup', 'redis', 'jwt'].map(name => [name, `the-old-one-of-${name}`]),
) as Record<'superuser' | 'app' | 'backup' | 'redis' | 'jwt', string>;
const APP = 'neurmatic';

export interface RotationCase {
  docker: DockerModel;
  /** Passwords of roles that can log in. */
  roles: Map<string, string>;
  /** Passwords that Redis takes. */
  redis: Set<string>;
  rotate(name: string, point?: Point): Promise<Run>;
  resume(point?: Point): Promise<Run>;
  /** What is checked before a rotation. @returns what is wrong */
  refusal(name: string): Promise<string | undefined>;
  journal(): Rotation | undefined;
  /** The text of the journal. */
  journalText(): string;
  values(): { env: Record<string, string>; app: Record<string, string> };
  /** The values of both files that a backend was created with. */
  valuesOfBackend(name: string): { env: Record<string, string>; app: Record<string, string> };
  write(path: string, text: string): void;
}

interface Situation {
  servers?: string[];
  /** Whether the application accepts a second value of its secret. */
  previous?: boolean;
}

export function newRotationCase({
  servers = ['backend-1', 'backend-2'],
  previous = true,
}: Situation = {}): RotationCase {
  rmSync(join(root, 'state'), { recursive: true, force: true });
  rmSync(`${FILES[0]}.ages`, { force: true });
  const write = (path: string, text: string) => writeFileSync(join(root, path), text, { mode: 0o600 });
  const line = (name: string) =>
    `server ${name}:3000 weight=1 max_fails=3 fail_timeout=10s route=${name} resolve;\n`;
  write('nginx/upstreams/backend.conf', servers.map(line).join(''));
  write('nginx/upstreams/frontend.conf', 'server frontend:80 max_fails=0 resolve;\n');
  write(
    '.env.production',
    [
      `BACKEND_IMAGE=${IMAGES.backend}\nFRONTEND_IMAGE=${IMAGES.frontend}\nDEPLOY_READY_TIMEOUT=3s`,
      `POSTGRES_PASSWORD=${OLD.superuser}\nAPP_DB_PASSWORD=${OLD.app}\nBACKUP_DB_PASSWORD=${OLD.backup}`,
      `DATABASE_URL=postgresql://${APP}:${OLD.app}@postgres:5432/neurmatic_production?connection_limit=7`,
      `REDIS_PASSWORD=${OLD.redis}\nREDIS_URL=redis://:${OLD.redis}@redis:6379\n`,
    ].join('\n'),
  );
  write('.env.production.app', `JWT_SECRET=${OLD.jwt}\n${previous ? 'JWT_SECRET_PREVIOUS=\n' : ''}`);
  const roles = new Map([
    ['postgres', OLD.superuser],
    [APP, OLD.app],
    ['backup', OLD.backup],
  ]);
  const redis = new Set([OLD.redis]);
  const docker = dockerModel(root, {
    ...Object.fromEntries(servers.map(name => [name, IMAGES.backend])),
    frontend: IMAGES.frontend,
    backup: IMAGES.frontend, // the model has images of two kinds
  });
  const parsed = ([env = '', app = '']: string[]) => ({ env: valuesOf(env), app: valuesOf(app) });
  const now = () => parsed(FILES.map(path => readFileSync(path, 'utf8')));
  const ofBackend = (name: string) => parsed(docker.containers.get(name)!.files);
  docker.alsoLost = () => {
    const serving = docker.listed('backend').filter(name => docker.containers.get(name)?.ready);
    const all = [...serving.map(name => [name, ofBackend(name)] as const), ['a new backend', now()] as const];
    return all.flatMap(([name, { env, app }]) => {
      const { username, password } = new URL(env.DATABASE_URL!);
      const lost = [];
      if (roles.get(username) !== password) lost.push(`${name} has no valid login of the database`);
      if (!redis.has(new URL(env.REDIS_URL!).password)) lost.push(`${name} has no valid password of Redis`);
      if (!previous) return lost;
      const accepted = [app.JWT_SECRET, app.JWT_SECRET_PREVIOUS];
      for (const [other, { app: theirs }] of all)
        if (!accepted.includes(theirs.JWT_SECRET)) lost.push(`${name} refuses what ${other} has signed`);
      if (!accepted.includes(OLD.jwt)) lost.push(`${name} refuses what was signed before`);
      return lost;
    });
  };
  const databases = {
    databases: new Map(),
    live: () => undefined,
    standIns: (step: <T>(name: string, act: () => T) => Promise<T>) => ({
      'lib/postgres/server.ts': { serverFacts: async () => ({ superuser: true }) },
      'lib/postgres/second-login.ts': {
        makeSecondLogin: (_: unknown, __: unknown, role: string, password: string) =>
          step('make the second login', () => roles.set(`${role}_rotating`, password)),
        takesPassword: async (_: unknown, __: unknown, role: string, password: string) =>
          roles.get(role) === password,
        setPassword: (_: unknown, __: unknown, role: string, password: string) =>
          step('set the password', () => roles.set(role, password)),
        dropSecondLogin: (_: unknown, __: unknown, role: string) =>
          step('drop the second login', () => roles.delete(`${role}_rotating`)),
      },
      'lib/secrets/redis-passwords.ts': {
        refuseForgetful: async () => {},
        addPassword: (_: Config, password: string) => step('add to Redis', () => redis.add(password)),
        keepOnlyPassword: ({ redisPassword }: Config) =>
          step('keep one in Redis', () => {
            redis.clear();
            redis.add(redisPassword!);
          }),
      },
    }),
  };
  const surroundings = {
    docker,
    databases,
    write: (path: string, text: string) => writeFileSync(path, text, { mode: 0o600 }),
    migrations: { pending: [] },
    critical: [],
    visits: () => [],
    pauseLists: () => {},
  };
  const done = { release: { outcome: 'done' } as Release, exitCode: 0 };
  const config = () => loadConfig('production', {});
  const run = (work: () => Promise<void>, point?: Point) =>
    runProcess(surroundings, async () => work().then(() => done), point);
  return {
    docker,
    roles,
    redis,
    rotate: (name, point) => run(() => rotations.rotate(config(), name), point),
    resume: point =>
      run(async () => {
        const rotation = journals.readRotation(config());
        if (!rotation) throw new Error('no rotation was interrupted');
        await rotations.resumeRotation(config(), rotation);
      }, point),
    refusal: async name => {
      const { ended, said } = await run(() => rotations.refuseRotation(config(), name));
      return ended === 'done' ? undefined : said;
    },
    journal: () => journals.readRotation(config()),
    journalText: () => readFileSync(join(root, 'state/production.rotate.json'), 'utf8'),
    values: now,
    valuesOfBackend: ofBackend,
    write,
  };
}
