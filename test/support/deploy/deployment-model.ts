/**
 * A deployment in this process, against {@link dockerModel}: the product's own files for the order of steps, retries and
 * the way back, with what they run, wait for and ask replaced. So it can be ended, or made to fail, at each of its
 * commands, thousands of times.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../scripts/lib/config/config.ts';
import type { Journal } from '../../../scripts/lib/deploy/journal.ts';
import { type Release, readReleases } from '../../../scripts/lib/deploy/releases.ts';
import type { Visit } from '../../../scripts/lib/nginx/access-log.ts';
import { type DatabaseModel, databaseModel } from './database-model.ts';
import { deployment, interrupt, journals, loadConfig, root } from './deployment-copy.ts';
import { type Point, type Run, runProcess } from './deployment-process.ts';
import { type DockerModel, dockerModel } from './docker-model.ts';

export const OLD = { backend: 'shop/backend:1', frontend: 'shop/frontend:1' };
export const NEW = { backend: 'shop/backend:2', frontend: 'shop/frontend:2' };

export interface Situation {
  servers?: string[];
  /** Those of them that run and are not ready. */
  unready?: string[];
  surge?: string;
  migrations?: string[];
  contracting?: string[];
  frontend?: boolean;
  /** Paths of an instance that are not the default ones. */
  contract?: Partial<Config['contract']>;
  /** A rollback with the database; whether an operator has switched the maintenance page on before. */
  data?: { maintenance: boolean };
  /** Seconds that the release is watched; default: not at all. */
  bake?: number;
  /** What health-check.ts finds critical, look by look; the last is repeated. */
  critical?: string[][];
  /** What each release has answered while it is watched. */
  visits?: () => Visit[];
}

interrupt.listenForSignals();
const unwatched = loadConfig('production', {
  BACKEND_IMAGE: OLD.backend,
  FRONTEND_IMAGE: OLD.frontend,
  POSTGRES_PASSWORD: 'password',
  DATABASE_URL: 'postgresql://postgres:password@postgres/neurmatic_production',
  REDIS_PASSWORD: 'password',
  REDIS_URL: 'redis://:password@redis',
  DEPLOY_READY_TIMEOUT: '3s',
  DEPLOY_BAKE_SECONDS: '0',
});

const SWITCH = 'nginx/maintenance/on';
/** Of the live database of {@link databaseModel}. */
const DATA = { wanted: 'backup', allowSmall: false, oid: 16_384, maintenance: false };

const LISTS = ['backend', 'frontend'].map(list => join(root, `nginx/upstreams/${list}.conf`));

/** Makes a file older, as a pause would. */
function grow(path: string, seconds: number): void {
  const { mtimeMs } = statSync(path);
  utimesSync(path, new Date(), new Date(mtimeMs - seconds * 1000));
}

const lineOf = (name: string) =>
  `server ${name}:3000 weight=1 max_fails=3 fail_timeout=10s route=${name} resolve;`;
const FRONTEND = 'server frontend:80 max_fails=0 resolve;\n';

export interface Case {
  /** The two lists of servers as they were before. */
  lists: string[];
  docker: DockerModel;
  databases: DatabaseModel;
  /** Whether visitors see the maintenance page. */
  maintenance(): boolean;
  /** Begins it, and has it end as `point` says. */
  deploy(point?: Point): Promise<Run>;
  /** What `deploy.ts --resume` or `--revert` does, the process before having ended. */
  finish(direction: 'resume' | 'revert', point?: Point): Promise<Run>;
  /** Runs other work of the product as a process. */
  process(work: (config: Config) => Promise<{ release: Release; exitCode: number }>): Promise<Run>;
  journal(): Journal | undefined;
  /** Throws what another run says while a journal is left. */
  refuseUnfinished(): void;
  /** Those that have been recorded. */
  releases(): Release[];
  /** The step of each journal that was written. */
  journaled: string[];
  /** Where things stand. */
  state(): { lists: string[]; loaded: string[][]; services: Record<string, string>; env: string };
  read(path: string): string;
  /** Writes a file of the case's nginx/. */
  write(path: string, text: string): void;
}

/** A stack before its deployment, in the directory that all cases share. */
export async function newCase(situation: Situation = {}): Promise<Case> {
  const { servers = ['backend-1', 'backend-2'], unready = [], surge = null } = situation;
  const { migrations = [], contracting = [], frontend = true, bake = 0, data } = situation;
  const contract = { ...unwatched.contract, ...situation.contract };
  const config = { ...unwatched, contract, deploy: { ...unwatched.deploy, bakeSeconds: bake } };
  const images = { ...NEW, ...(frontend ? {} : { frontend: OLD.frontend }) };
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  rmSync(join(root, 'state'), { recursive: true, force: true });
  mkdirSync(join(root, 'state'));
  write('nginx/upstreams/backend.conf', servers.map(name => `${lineOf(name)}\n`).join(''));
  write('nginx/upstreams/frontend.conf', FRONTEND);
  for (const list of LISTS) grow(list, 86_400);
  write('.env.production', `BACKEND_IMAGE=${OLD.backend}\nFRONTEND_IMAGE=${OLD.frontend}\n`);
  write('.env.production.app', '');
  const journaled: string[] = [];
  if (data?.maintenance) write(SWITCH, '');
  else rmSync(join(root, SWITCH), { force: true });
  const docker = dockerModel(root, {
    ...Object.fromEntries(servers.map(name => [name, OLD.backend])),
    frontend: OLD.frontend,
  });
  for (const name of unready) docker.containers.get(name)!.ready = false;
  const databases = databaseModel(config.postgres.database, OLD.backend, NEW.backend);
  if (data) {
    docker.alsoLost = () =>
      existsSync(join(root, SWITCH))
        ? []
        : docker
            .listed('backend')
            .map(name => docker.containers.get(name)?.image)
            .filter(image => image && image !== databases.live())
            .map(image => `${image} serves with the data of ${databases.live()}`);
  }
  const surroundings = {
    docker,
    databases,
    write: (path: string, text: string) => {
      writeFileSync(path, text);
      if (path.endsWith('.deploy.json')) journaled.push(JSON.parse(text).step);
    },
    migrations: { pending: migrations },
    critical: situation.critical ?? [],
    visits: situation.visits ?? (() => []),
    pauseLists: (seconds: number) => {
      for (const list of LISTS) grow(list, seconds);
    },
  };
  const begin = () =>
    journals.newJournal(
      config,
      {
        kind: data ? 'rollback' : 'deploy',
        release: '2',
        images,
        previous: OLD,
        migrations: [...migrations],
        contracting: [...contracting],
        backup: data ? 'backup' : null,
      },
      { servers: servers.map(lineOf), surge, criticalBefore: [], ...(data ? { data: { ...DATA } } : {}) },
    );
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  return {
    docker,
    databases,
    maintenance: () => existsSync(join(root, SWITCH)),
    journaled,
    read,
    write,
    lists: [read('nginx/upstreams/backend.conf'), FRONTEND],
    deploy: point => runProcess(surroundings, () => deployment.runDeploy(config, begin()), point),
    finish: (direction, point) =>
      runProcess(
        surroundings,
        async () => {
          const journal = journals.readJournal(config);
          if (!journal) throw new Error('no deployment was interrupted');
          return direction === 'resume'
            ? deployment.resumeDeploy(config, journal)
            : deployment.revertDeploy(config, journal);
        },
        point,
      ),
    process: work => runProcess(surroundings, () => work(config)),
    journal: () => journals.readJournal(config),
    refuseUnfinished: () => journals.refuseUnfinished(config),
    releases: () => readReleases(config),
    state: () => ({
      lists: [read('nginx/upstreams/backend.conf'), read('nginx/upstreams/frontend.conf')],
      loaded: [docker.listed('backend'), docker.listed('frontend')],
      services: Object.fromEntries([...docker.containers].map(([name, { image }]) => [name, image]).sort()),
      env: read('.env.production'),
    }),
  };
}
