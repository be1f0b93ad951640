/**
 * A session that stays open for reads: a run has dozens of them, and the start of psql takes longer than most answers.
 * Only where no statement of a run waits for other sessions to leave: not in a database that is renamed or dropped.
 */
import type { Postgres } from '../config/config.ts';
import { judgeEnd, type RunOptions } from '../core/shell.ts';
import { interrupt } from '../core/signals.ts';
import { spawnGroup, templateOf } from '../core/spawn.ts';
import { sessionName } from './abandoned.ts';
import { consumer, PSQL, toDatabase } from './client.ts';
import { OWN_NAMES, serverLimits, TEXT } from './settings.ts';

/** A session that is not used ends: during a long load the network or the container may lose it. */
const IDLE_SECONDS = 5;
/** What psql prints stays in memory until it ends. */
const MOST_READS = 100;

type ReadOptions = Pick<RunOptions, 'purpose'> & { timeout: number };

interface ReadSession {
  isBusy: () => boolean;
  /** @returns undefined: it failed, and the session had answered before */
  read: (sql: string, options: ReadOptions) => Promise<string | undefined>;
}

const sessions = new Map<string, ReadSession>();

/**
 * Runs one SELECT in the session of that database, which it opens if there is none. No setting of it is left to the next
 * one, and the session ends with the first error.
 *
 * @param timeout in seconds
 * @returns the output of psql; undefined: the session has other work, or has failed after other reads, so that a psql of
 *   its own must ask
 * @throws CommandError; OperationalError after `timeout` seconds; Interrupted
 */
export async function readInSession(
  postgres: Postgres,
  database: string,
  sql: string,
  options: ReadOptions,
): Promise<string | undefined> {
  interrupt.throwIfAborted();
  const key = JSON.stringify([postgres, database, process.env.PATH]);
  let session = sessions.get(key);
  if (session?.isBusy()) return undefined;
  if (!session) {
    session = open(postgres, database, () => {
      if (sessions.get(key) === session) sessions.delete(key);
    });
    sessions.set(key, session);
  }
  return session.read(sql, options);
}

/** @param closed called as soon as it takes no more reads */
function open(postgres: Postgres, database: string, closed: () => void): ReadSession {
  const words = [...PSQL, `--dbname=${toDatabase(database)}`];
  const { argv, env } = consumer(postgres, words, 'dialogue', `${TEXT} -c ${OWN_NAMES}`);
  const { child, ended, signal } = spawnGroup(templateOf(argv), {
    env: { ...env, PGAPPNAME: sessionName() },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const psql = (async () => (await ended).exitCode)();
  const input = child.stdin!;
  input.on('error', () => {}); // psql has ended: `psql` has the reason
  const printed = { stdout: '', stderr: '' };
  let arrived = () => {};
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]!.setEncoding('utf8').on('data', (text: string) => {
      printed[stream] += text;
      arrived();
    });
  }
  const end = () => {
    closed();
    input.destroy(); // ends psql in a container
    signal('SIGTERM'); // psql reads its input again only when the statement is done
    setTimeout(() => signal('SIGKILL'), 5000).unref();
  };
  let reads = 0;
  let isBusy = false;
  let idle: NodeJS.Timeout | undefined;
  /** A session without work does not keep this process. */
  const keepProcess = (isNeeded: boolean) => {
    for (const each of [child, ...child.stdio] as { ref?(): void; unref?(): void }[])
      isNeeded ? each?.ref?.() : each?.unref?.();
  };

  async function answer(sql: string, timeout: number): Promise<string | undefined> {
    const mark = `-- end of read ${++reads} --`;
    printed.stdout = '';
    printed.stderr = '';
    input.write(
      `BEGIN;\n${setLocal(timeout)}${sql};\nROLLBACK;\n\\echo '${mark}'\n\\warn '${mark}'\n`, // no setting stays
    );
    const complete = new Promise<string>(resolve => {
      arrived = () => {
        if (printed.stdout.endsWith(`\n${mark}\n`) && printed.stderr.endsWith(`${mark}\n`))
          resolve(printed.stdout.slice(0, -mark.length - 1));
      };
    });
    const text = await Promise.race([complete, psql.then((): undefined => {})]);
    if (text !== undefined) printed.stderr = printed.stderr.slice(0, -mark.length - 1);
    return text;
  }

  async function read(sql: string, { timeout, ...options }: ReadOptions): Promise<string | undefined> {
    isBusy = true;
    clearTimeout(idle);
    keepProcess(true);
    const interrupted = interrupt;
    interrupted.addEventListener('abort', end, { once: true });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, timeout * 1000);
    try {
      const text = await answer(sql, timeout);
      const exitCode = text === undefined ? await psql : 0;
      // The error may be that of the session: it was lost, or its role has been replaced since. A new one tells.
      if (text === undefined && reads > 1 && !timedOut && !interrupted.aborted) return undefined;
      judgeEnd(argv[0]!, { exitCode, stderr: printed.stderr }, timedOut ? { ...options, timeout } : options);
      return text;
    } finally {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', end);
      isBusy = false;
      keepProcess(false);
      if (child.exitCode !== null || child.signalCode !== null) closed();
      else if (reads >= MOST_READS) close();
      else idle = setTimeout(close, IDLE_SECONDS * 1000).unref();
    }
  }
  const close = () => {
    closed();
    input.end();
  };
  return { isBusy: () => isBusy, read };
}

/** The limits of {@link serverLimits} as statements, for one transaction. */
function setLocal(timeout: number): string {
  return serverLimits(timeout).replaceAll(/-c (\w+)=(\d+) ?/g, 'SET LOCAL $1 = $2;\n');
}
