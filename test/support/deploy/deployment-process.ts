/** One process of a deployment, whose commands go to {@link DockerModel}, and which can be ended at each of them. */
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { RunOptions } from '../../../scripts/lib/core/shell.ts';
import type { Release } from '../../../scripts/lib/deploy/releases.ts';
import type { Visit } from '../../../scripts/lib/nginx/access-log.ts';
import type { DatabaseModel } from './database-model.ts';
import { CommandError, confirmed, interrupt, lines, pass, standIns } from './deployment-copy.ts';
import type { DockerModel } from './docker-model.ts';

/** What happens to a command. */
export type Trouble =
  | 'killed before'
  | 'killed after'
  | 'fails'
  | 'fails from then on'
  | 'SIGINT'
  | 'images are pruned'
  | 'images are pruned, and SIGINT'
  | 'Nginx refuses its files';

export interface Point {
  /** Which command, from 0; for a kill, which of those that change something. */
  at: number;
  trouble: Trouble;
}

export interface Run {
  /** `killed`, the outcome of the release that was written down, or `unfinished`: it waits for --resume or --revert. */
  ended: 'killed' | 'unfinished' | Release['outcome'];
  exitCode?: number;
  said: string;
  /** Commands that changed something. */
  changes: string[];
  /** The same and the files that were written: where it can be killed. */
  points: string[];
  /** The command at which the trouble came. */
  met: string;
  /** How many commands there were, those that only look as well. */
  commands: number;
}

type Ask = Pick<RunOptions, 'purpose' | 'hint' | 'state' | 'timeout'> & {
  argv: string[];
  env?: Record<string, string | undefined>;
};

/** What the processes of one case share. */
export interface Surroundings {
  docker: DockerModel;
  /** The names of the migrations that are not applied. */
  migrations: { pending: string[] };
  databases: DatabaseModel;
  /** What health-check.ts finds critical, look by look. */
  critical: string[][];
  visits: () => Visit[];
  /** Makes the lists of servers older. */
  pauseLists: (seconds: number) => void;
  /** Writes a file whole, as the next process sees it; what a disk makes of it is not the subject. */
  write: (path: string, text: string) => void;
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

/** Runs `work` as one process of the product: its commands go to the model, until the trouble of `point` ends it. */
export async function runProcess(
  { docker, migrations, databases, critical, visits, pauseLists, write }: Surroundings,
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
  const points: string[] = [];
  const meet = async <T>(what: string, counted: boolean, act: () => T, fail: () => never): Promise<T> => {
    const here = counted && count++ === point?.at;
    if (here) met = what;
    const since = counted && point !== undefined && count > point.at;
    if (here && point.trouble === 'killed before') killed();
    if (dead) return stopped;
    if ((here && point.trouble === 'fails') || (since && point.trouble === 'fails from then on')) fail();
    if (here && point.trouble === 'Nginx refuses its files') docker.refused = true;
    if (here && point.trouble.startsWith('images are pruned')) {
      docker.prune();
      docker.registry = false;
    }
    if (here && point.trouble.endsWith('SIGINT')) process.emit('SIGINT');
    const result = act();
    if (here && point.trouble === 'killed after') killed();
    return dead ? stopped : result;
  };
  const kills = point?.trouble.startsWith('killed') ?? false;
  const run = async ({ argv, env = {}, timeout, ...told }: Ask) => {
    const fail = () => {
      throw new CommandError(argv[0]!, 1, 'the engine fails once', told);
    };
    const change = docker.changeOf(argv);
    if (change) points.push(change);
    const act = () => {
      const { code, stdout, stderr } = docker.answer(argv, env, timeout);
      if (code !== 0) throw new CommandError(argv[0]!, code, stderr, told);
      return stdout;
    };
    return meet(argv.join(' '), !kills || change !== undefined, act, fail);
  };
  const step = <T>(name: string, act: () => T, hint?: string) => {
    points.push(name);
    const change = () => {
      docker.changes.push(name);
      const result = act();
      docker.lookAround(`after: ${name}`);
      return result;
    };
    return meet(name, true, change, () => {
      throw new CommandError(name, 1, `${name} has failed`, { purpose: name, ...(hint ? { hint } : {}) });
    });
  };
  const onDisk = (name: string, act: () => void) => {
    points.push(name);
    const change = () => {
      act();
      docker.lookAround(`after: ${name}`);
    };
    return meet(name, true, change, () => {
      throw Object.assign(new Error(`ENOSPC: no space left on device: ${name}`), { code: 'ENOSPC' });
    });
  };
  const writeFile = (path: string, text: string) =>
    onDisk(`write ${basename(path)}`, () => write(path, text));
  standIns['lib/core/files.ts'] = {
    sync: (path: string) => onDisk(`sync ${basename(path)}`, () => {}),
    writeWhole: writeFile,
  };
  standIns['lib/core/operator-file.ts'] = { rewrite: writeFile };
  Object.assign(standIns, databases.standIns(step));
  standIns['lib/core/shell.ts'] = {
    run: (argv: string[], options: Omit<Ask, 'argv'>) => run({ ...options, argv }),
    start: async (argv: string[], options: Omit<Ask, 'argv'>) => ({
      stdout: await run({ ...options, argv }),
      stderr: '',
    }),
    sh:
      (purpose: string, options: Omit<Ask, 'argv' | 'purpose'> = {}) =>
      async (pieces: TemplateStringsArray, ...values: (string | string[])[]) =>
        (await run({ ...options, purpose, argv: wordsOf(pieces, values) })).replace(/\n+$/, ''),
  };
  standIns['lib/core/signals.ts'] = {
    sleep: async (seconds: number) => {
      pass(seconds);
      docker.sleep(seconds);
      pauseLists(seconds);
    },
  };
  const canary = { sent: 0, failed: 0, slowest: 0, failures: [], reopened: 0 };
  standIns['lib/deploy/canary.ts'] = {
    startCanary: () => ({ count: () => canary, stop: async () => canary }),
  };
  standIns['lib/health/all-checks.ts'] = {
    criticalChecks: (_: unknown, known?: string[]) =>
      confirmed(async () => (critical.length > 1 ? critical.shift()! : (critical[0] ?? [])), known),
  };
  standIns['lib/nginx/access-log.ts'] = { readVisits: async () => visits() };
  standIns['lib/migrations/pending.ts'] = {
    pendingMigrations: async () => migrations.pending.map(name => ({ name, findings: [] })),
  };
  standIns['lib/migrations/run.ts'] = {
    migrate: (_: unknown, __: unknown, ___: unknown, { hint }: Pick<Ask, 'hint'>) =>
      step(
        'migrate',
        () => {
          migrations.pending = [];
        },
        hint,
      ),
  };
  standIns['lib/backup/run-backup.ts'] = {
    backUp: () => step('back up', () => ({ json: { backup: { id: 'made' } }, exitCode: 0 })),
  };
  const worked = work().then(
    ({ release, exitCode }): Pick<Run, 'ended' | 'exitCode'> => ({ ended: release.outcome, exitCode }),
    (error: Error): Pick<Run, 'ended'> => {
      lines.push(error.message, (error as { hint?: string }).hint ?? '');
      return { ended: 'unfinished' };
    },
  );
  const result = await Promise.race([worked, end.then((): Pick<Run, 'ended'> => ({ ended: 'killed' }))]);
  await setImmediate(); // other work of the process reaches its last command
  interrupt.acknowledgeSignal();
  return {
    ...result,
    said: lines.join('\n'),
    changes: docker.changes.slice(from),
    points,
    met,
    commands: count,
  };
}
