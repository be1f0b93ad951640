import { existsSync, readFileSync } from 'node:fs';
import type { Postgres } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { failureIn } from '../core/program-output.ts';
import type { Service } from '../core/service.ts';
import { sh } from '../core/shell.ts';
import { sleep, throwIfInterrupted } from '../core/signals.ts';
import { serverFacts } from '../postgres/server.ts';

const READY_SECONDS = 60;

/**
 * Waits until a server that was just started answers, at most 60 s.
 *
 * @param started the process, if it is one of this host, its data directory and the file of its log
 * @throws OperationalError with the first error of the log when the process has ended or the time is over
 */
export async function untilPostgresReady(
  postgres: Postgres,
  started?: { service: Service; data: string; logFile: string },
): Promise<void> {
  const deadline = Date.now() + READY_SECONDS * 1000;
  let ended = false;
  void started?.service.ended.then(() => {
    ended = true;
  });
  for (;;) {
    try {
      if (started && !saysReady(started.data)) throw new OperationalError('it starts', 'wait.');
      // Over TCP: a first server, which the image starts only to make the cluster, listens on the socket alone.
      if (postgres.container)
        await sh('reach PostgreSQL')`docker exec ${postgres.container} pg_isready --quiet --host=127.0.0.1`;
      await serverFacts(postgres);
      return;
    } catch (error) {
      throwIfInterrupted();
      if (ended || Date.now() > deadline) {
        const reason = started && failureIn(readFileSync(started.logFile, 'utf8')).summary;
        throw new OperationalError(
          'the temporary PostgreSQL server did not start',
          reason || 'see the message before.',
          undefined,
          { cause: error },
        );
      }
      await sleep(started ? 0.02 : 0.1);
    }
  }
}

/** Cheaper than to ask the server: it writes its state into this file, which one that was killed leaves behind. */
function saysReady(data: string): boolean {
  const path = `${data}/postmaster.pid`;
  return existsSync(path) && /^ready *$/m.test(readFileSync(path, 'utf8'));
}
