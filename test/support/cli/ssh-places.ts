import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ended, type Started, until } from '../core/world.ts';
import { SSH_SCRIPTS } from './ssh-scripts.ts';
import { type SshServer, startSshServer } from './sshd.ts';

/** What one key of a server leads to: directories of its own, so that no test sees another's runs. */
export interface SshPlace {
  key: string;
  state: string;
  logs: string;
  start: (command: string[], options?: string[]) => Started;
  run: (command: string[], options?: string[]) => Promise<Ended>;
  /** From now on a deploy stands still when it is at work, until {@link release}. */
  hold: () => void;
  release: () => void;
  untilAtWork: () => Promise<void>;
  /** The process of the deploy that is at work. */
  worker: () => number;
  /** The files of runs. */
  files: () => string[];
  ends: () => { script: string; exitCode: number }[];
  /** What ssh-command.ts has noted. */
  logged: () => string;
}

/** One sshd with stand-ins for the scripts, and as many keys and places as a file has tests. */
export async function createSshPlaces(): Promise<{
  server: SshServer;
  place: (forced?: string) => SshPlace;
  stop: () => Promise<void>;
}> {
  const server = await startSshServer(SSH_SCRIPTS);
  const places: SshPlace[] = [];
  return {
    server,
    place: forced => {
      const place = createPlace(server, `place-${places.length}`, forced);
      places.push(place);
      return place;
    },
    stop: async () => {
      for (const { release } of places) release();
      await server.stop();
    },
  };
}

function createPlace(server: SshServer, key: string, forced = '--env production'): SshPlace {
  const [state, logs] = [join(server.root, key, 'state'), join(server.root, key, 'logs')];
  mkdirSync(state, { recursive: true });
  server.addKey(key, { env: { STATE_DIR: state, LOG_DIR: logs }, forced });
  const files = () => (existsSync(logs) ? readdirSync(logs).filter(name => name !== 'ssh-command.log') : []);
  const read = (name: string) => readFileSync(join(logs, name), 'utf8');
  const working = () =>
    files()
      .filter(name => name.endsWith('.log'))
      .flatMap(name => /^at work, process (\d+)$/m.exec(read(name))?.[1] ?? []);
  return {
    key,
    state,
    logs,
    start: (command, options = []) => server.start(command, options, key),
    run: (command, options = []) => server.run(command, options, key),
    hold: () => writeFileSync(join(state, 'hold'), ''),
    release: () => rmSync(join(state, 'hold'), { force: true }),
    untilAtWork: () => until('it is at work', () => working().length > 0),
    worker: () => Number(working().at(-1)),
    files,
    ends: () => {
      const path = join(state, 'history.jsonl');
      if (!existsSync(path)) return [];
      return readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));
    },
    logged: () => read('ssh-command.log'),
  };
}

/** Of the processes that `pid` started, and so on, those whose command line matches. */
export function descendants(pid: number, pattern: RegExp): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(row => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row)!)
    .map(([, id, parent, args]) => ({ id: Number(id), parent: Number(parent), args: args! }));
  const below = (parent: number): typeof rows =>
    rows.filter(row => row.parent === parent).flatMap(row => [row, ...below(row.id)]);
  return below(pid)
    .filter(({ args }) => pattern.test(args))
    .map(({ id }) => id);
}

/** A column of ps about one process. */
export const psOf = (pid: number, column: 'pgid' | 'ppid'): number =>
  Number(execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }));
