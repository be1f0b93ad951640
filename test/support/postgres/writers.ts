import { type ChildProcess, spawn } from 'node:child_process';
import type { World } from '../core/world.ts';
import { until } from '../core/world.ts';

export interface Writers {
  /** The ids of all rows whose commit a client was told of, in that order. */
  acknowledged: string[];
  /** What clients were told instead, and after how many acknowledgements. */
  failures: { message: string; after: number }[];
  /** Waits until clients have been told of this many further commits. */
  acknowledge: (more: number) => Promise<void>;
  stop: () => Promise<void>;
}

/**
 * Milliseconds between a client's rows: as fast as they can be, clients take the processors from what is tested, and a
 * session for each row takes ten times as much as the row.
 */
const PAUSES: Record<string, number> = { holding: 30, reconnecting: 200 };

/**
 * Clients that write to the live database all the time, as psql processes: `holding` ones keep a session and
 * open another when it ends, `reconnecting` ones open one for each row.
 *
 * @param statement one that is its own transaction and writes `id`
 */
export function startWriters(
  world: World,
  clients: { holding: number; reconnecting: number },
  statement: (id: string) => string = id => `INSERT INTO t VALUES ('${id}')`,
): Writers {
  const { acknowledged, failures }: Pick<Writers, 'acknowledged' | 'failures'> = {
    acknowledged: [],
    failures: [],
  };
  const { POSTGRES_USER, POSTGRES_PASSWORD, PATH, PGHOST, PGPORT } = world.env;
  const env = { PATH, PGHOST, PGPORT, PGUSER: POSTGRES_USER, PGPASSWORD: POSTGRES_PASSWORD };
  const args = ['-qXAt', '-vON_ERROR_STOP=1', '-d', world.database];
  const running = new Set<ChildProcess>();
  let over = false;
  let last = 0;

  /** One session, which writes up to `rows` rows, each after the one before is acknowledged. */
  function session(client: string, rows: number, pause: number): Promise<void> {
    return new Promise(resolve => {
      const psql = spawn('psql', args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
      running.add(psql);
      psql.stdin.on('error', () => {});
      let stderr = '';
      let id = '';
      let written = 0;
      const next = () => {
        if (over || written++ === rows) return void psql.stdin.end();
        id = `${client}-${++last}`;
        psql.stdin.write(`${statement(id)};\n\\echo committed\n`);
      };
      psql.stdout.on('data', () => {
        acknowledged.push(id);
        setTimeout(next, pause);
      });
      psql.stderr.on('data', text => {
        stderr += text;
      });
      psql.once('close', code => {
        running.delete(psql);
        if (code !== 0) failures.push({ message: stderr.trim(), after: acknowledged.length });
        resolve();
      });
      next();
    });
  }

  const loops = Object.entries(clients).flatMap(([kind, count]) =>
    Array.from({ length: count }, async (_, index) => {
      while (!over)
        await session(`${kind}${index}`, kind === 'holding' ? Number.POSITIVE_INFINITY : 1, PAUSES[kind]!);
    }),
  );
  return {
    acknowledged,
    failures,
    acknowledge: more => {
      const wanted = acknowledged.length + more;
      return until(`${more} more rows are written`, () => acknowledged.length >= wanted, 60);
    },
    stop: async () => {
      over = true;
      const timer = setTimeout(() => {
        for (const psql of running) psql.kill('SIGKILL');
      }, 20_000);
      await Promise.all(loops);
      clearTimeout(timer);
    },
  };
}
