/**
 * A deployment in this process, against {@link dockerModel}: the product's own files for the order of steps, retries and
 * the way back, with what they run, wait for and ask replaced. So it can be ended, or made to fail, at each of its
 * commands, thousands of times.
 */
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Journal } from '../../../scripts/lib/deploy/journal.ts';
import type { Release } from '../../../scripts/lib/deploy/releases.ts';
import {
  CommandError,
  deployment,
  interrupt,
  journals,
  lines,
  loadConfig,
  pass,
  root,
  standIns,
} from './deployment-copy.ts';
import { type DockerModel, dockerModel } from './docker-model.ts';

export const OLD = { backend: 'shop/backend:1', frontend: 'shop/frontend:1' };
export const NEW = { backend: 'shop/backend:2', frontend: 'shop/frontend:2' };

/** What happens to a command. */
export type Trouble =
  | 'killed before'
  | 'killed after'
  | 'fails'
  | 'fails from then on'
  | 'SIGINT'
  | 'Nginx refuses its files';

export interface Point {
  /** Which command, from 0; for a kill, which of those that change something. */
  at: number;
  trouble: Trouble;
}

export interface Situation {
  servers?: string[];
  /** Those of them that run and are not ready. */
  unready?: string[];
  surge?: string;
  migrations?: string[];
  contracting?: string[];
  frontend?: boolean;
}

export interface Run {
  /** `killed`, the outcome of the release that was written down, or `unfinished`: it waits for --resume or --revert. */
  ended: 'killed' | 'unfinished' | Release['outcome'];
  exitCode?: number;
  said: string;
  /** Commands that changed something. */
  changes: string[];
  /** The command at which the trouble came. */
  met: string;
  /** How many commands there were, those that only look as well. */
  commands: number;
}

type Ask = { argv: string[]; env?: Record<string, string | undefined>; timeout?: number };

interrupt.listenForSignals();
const config = loadConfig('production', {
  BACKEND_IMAGE: OLD.backend,
  FRONTEND_IMAGE: OLD.frontend,
  DEPLOY_READY_TIMEOUT: '3s',
  DEPLOY_BAKE_SECONDS: '0',
});

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
  /** Begins it, and has it end as `point` says. */
  deploy(point?: Point): Promise<Run>;
  /** What `deploy.ts --resume` or `--revert` does, the process before having ended. */
  finish(direction: 'resume' | 'revert', point?: Point): Promise<Run>;
  journal(): Journal | undefined;
  /** The step of each journal that was written. */
  journaled: string[];
  /** Where things stand. */
  state(): { lists: string[]; loaded: string[][]; services: Record<string, string>; env: string };
  read(path: string): string;
  /** Writes a file of the case's nginx/. */
  write(path: string, text: string): void;
}

/** @returns the words of a simple command: no quotes but '…', no other syntax of a shell */
function wordsOf(pieces: TemplateStringsArray, values: (string | string[])[]): string[] {
  const words: string[] = [];
  let open = false;
  const add = (text: string) => (open ? words.push(words.pop() + text) : words.push(text));
  for (const [index, piece] of pieces.entries()) {
    for (const [token] of piece.matchAll(/\s+|'[^']*'|[^\s']+/g)) {
      if (token.trim()) add(token.replace(/^'(.*)'$/s, '$1'));
      open = token.trim() !== '';
    }
    if (index === values.length) break;
    for (const value of [values[index]!].flat()) {
      add(value);
      open = false;
    }
    open = !Array.isArray(values[index]);
  }
  return words;
}

/** A stack before its deployment, in the directory that all cases share. */
export async function newCase(situation: Situation = {}): Promise<Case> {
  const { servers = ['backend-1', 'backend-2'], unready = [], surge = null } = situation;
  const { migrations = [], contracting = [], frontend = true } = situation;
  const images = { ...NEW, ...(frontend ? {} : { frontend: OLD.frontend }) };
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  rmSync(join(root, 'state'), { recursive: true, force: true });
  mkdirSync(join(root, 'state'));
  write('nginx/upstreams/backend.conf', servers.map(name => `${lineOf(name)}\n`).join(''));
  write('nginx/upstreams/frontend.conf', FRONTEND);
  for (const list of LISTS) grow(list, 86_400);
  write('.env.production', `BACKEND_IMAGE=${OLD.backend}\nFRONTEND_IMAGE=${OLD.frontend}\n`);
  const journaled: string[] = [];
  // Whole, as the next process sees it; what a disk makes of it is not the subject.
  standIns['lib/core/files.ts'] = {
    sync: async () => {},
    writeWhole: async (path: string, text: string) => {
      writeFileSync(path, text);
      if (path.endsWith('.deploy.json')) journaled.push(JSON.parse(text).step);
    },
  };
  const docker = dockerModel(root, {
    ...Object.fromEntries(servers.map(name => [name, OLD.backend])),
    frontend: OLD.frontend,
  });
  for (const name of unready) docker.containers.get(name)!.ready = false;
  let pending = migrations;

  /** One process: what it runs goes to the model, until it meets its end. */
  async function process_(
    work: () => Promise<{ release: Release; exitCode: number }>,
    point?: Point,
  ): Promise<Run> {
    let count = 0;
    let dead = false;
    let killed = () => {};
    const end = new Promise<'killed'>(resolve => {
      killed = () => {
        dead = true;
        resolve('killed');
      };
    });
    const stopped = new Promise<never>(() => {});
    const from = docker.changes.length;
    lines.length = 0;
    /** @param counted kills come at what changes something, failures at any command */
    let met = '';
    const meet = async <T>(what: string, counted: boolean, act: () => T, fail: () => never): Promise<T> => {
      const here = counted && count++ === point?.at;
      if (here) met = what;
      const since = counted && point !== undefined && count > point.at;
      if (here && point.trouble === 'killed before') killed();
      if (dead) return stopped;
      if ((here && point.trouble === 'fails') || (since && point.trouble === 'fails from then on')) fail();
      if (here && point.trouble === 'Nginx refuses its files') docker.refused = true;
      if (here && point.trouble === 'SIGINT') process.emit('SIGINT');
      const result = act();
      if (here && point.trouble === 'killed after') killed();
      return dead ? stopped : result;
    };
    const kills = point?.trouble.startsWith('killed') ?? false;
    const run = async ({ argv, env = {}, timeout }: Ask) => {
      const fail = () => {
        throw new CommandError(argv[0]!, 1, 'the engine hiccups', { purpose: 'do it' });
      };
      const act = () => {
        const { code, stdout, stderr } = docker.answer(argv, env, timeout);
        if (code !== 0) throw new CommandError(argv[0]!, code, stderr, { purpose: 'do it' });
        return stdout;
      };
      return meet(argv.join(' '), !kills || docker.changeOf(argv) !== undefined, act, fail);
    };
    const step = (name: string, act: () => unknown) =>
      meet(
        name,
        true,
        () => {
          docker.changes.push(name);
          return act();
        },
        () => {
          throw new CommandError(name, 1, `${name} has failed`, { purpose: name });
        },
      );
    standIns['lib/core/shell.ts'] = {
      run: (argv: string[], options: Omit<Ask, 'argv'>) => run({ ...options, argv }),
      start: async (argv: string[], options: Omit<Ask, 'argv'>) => ({
        stdout: await run({ ...options, argv }),
        stderr: '',
      }),
      sh:
        (_purpose: string, options: Omit<Ask, 'argv'>) =>
        async (pieces: TemplateStringsArray, ...values: (string | string[])[]) =>
          (await run({ ...options, argv: wordsOf(pieces, values) })).replace(/\n+$/, ''),
    };
    standIns['lib/core/signals.ts'] = {
      sleep: async (seconds: number) => {
        pass(seconds);
        docker.sleep(seconds);
        for (const list of LISTS) grow(list, seconds);
      },
    };
    const canary = { sent: 0, failed: 0, slowest: 0, failures: [], reopened: 0 };
    standIns['lib/deploy/canary.ts'] = {
      startCanary: () => ({ count: () => canary, stop: async () => canary }),
    };
    standIns['lib/health/all-checks.ts'] = { criticalChecks: async () => [] };
    standIns['lib/nginx/access-log.ts'] = { readTraffic: async () => ({}), regression: () => undefined };
    standIns['lib/migrations/pending.ts'] = {
      pendingMigrations: async () => pending.map(name => ({ name, findings: [] })),
    };
    standIns['lib/migrations/run.ts'] = {
      migrate: () =>
        step('migrate', () => {
          pending = [];
        }),
    };
    standIns['lib/backup/run-backup.ts'] = {
      backUp: () => step('back up', () => ({ json: { backup: { id: 'made' } }, exitCode: 0 })),
    };
    const worked = work().then(
      ({ release, exitCode }): Pick<Run, 'ended' | 'exitCode'> => ({ ended: release.outcome, exitCode }),
      (error: Error): Pick<Run, 'ended'> => {
        lines.push(error.message);
        return { ended: 'unfinished' };
      },
    );
    const result = await Promise.race([worked, end.then((): Pick<Run, 'ended'> => ({ ended: 'killed' }))]);
    await setImmediate(); // what the process had under way besides comes to its last command
    interrupt.acknowledgeSignal();
    return { ...result, said: lines.join('\n'), changes: docker.changes.slice(from), met, commands: count };
  }

  const begin = () =>
    journals.newJournal(
      config,
      {
        kind: 'deploy',
        release: '2',
        images,
        previous: OLD,
        migrations: [...migrations],
        contracting: [...contracting],
        backup: null,
      },
      { servers: servers.map(lineOf), surge, criticalBefore: [] },
    );
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  return {
    docker,
    journaled,
    read,
    write,
    lists: [read('nginx/upstreams/backend.conf'), FRONTEND],
    deploy: point => process_(() => deployment.runDeploy(config, begin()), point),
    finish: (direction, point) =>
      process_(async () => {
        const journal = journals.readJournal(config);
        if (!journal) throw new Error('no deployment was interrupted');
        return direction === 'resume'
          ? deployment.resumeDeploy(config, journal)
          : deployment.revertDeploy(config, journal);
      }, point),
    journal: () => journals.readJournal(config),
    state: () => ({
      lists: [read('nginx/upstreams/backend.conf'), read('nginx/upstreams/frontend.conf')],
      loaded: [docker.listed('backend'), docker.listed('frontend')],
      services: Object.fromEntries([...docker.containers].map(([name, { image }]) => [name, image]).sort()),
      env: read('.env.production'),
    }),
  };
}
