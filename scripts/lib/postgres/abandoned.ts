/** Sessions whose client is gone. PostgreSQL goes on with their statement and notices the loss when it writes the answer. */
import { randomBytes } from 'node:crypto';
import { exitCodeOf, messageOf, OperationalError } from '../core/errors.ts';
import { CommandError } from '../core/shell.ts';

/** `application_name` of every session of the scripts; a word of its own follows where a session is looked for. */
export const APPLICATION = 'stack-scripts';

/** Longest wait for the end of a session, in seconds. */
const END_SECONDS = 10;

/** @returns an `application_name` that no other session has */
export const sessionName = (): string => `${APPLICATION} ${randomBytes(6).toString('hex')}`;

/** A statement was given up, and its session can't be seen to be gone: it may still be executed. */
export class OutcomeUnknown extends OperationalError {}

/**
 * @param error of a run of psql
 * @returns whether the server answered, or was not reached: nothing of it goes on there. psql exits with 1 or 3 after an
 *   error of the server, with 2 after a lost connection: https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-EXIT-STATUS
 */
export function isAnswered(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false; // no answer in time, or a signal
  const { status, stderr } = error;
  return status === 1 || status === 3 || /connection to server .* failed|could not translate/.test(stderr);
}

/** MATERIALIZED, because the planner may evaluate conditions of one WHERE in any order: it would end every session. */
const sessionEnd = (name: string) =>
  `WITH given_up AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE application_name = '${name}')
   SELECT pid FROM given_up WHERE NOT pg_terminate_backend(pid, ${END_SECONDS * 1000})`;

/**
 * Ends the session of a statement that was given up and waits until it is gone. Afterwards the catalog shows the outcome.
 *
 * @param error why the statement was given up
 * @param run runs a query with psql and returns its output
 * @throws OutcomeUnknown where the server can't be asked, or the session does not end within {@link END_SECONDS}
 */
export async function endAbandoned(
  name: string,
  error: unknown,
  run: (sql: string) => Promise<string>,
): Promise<void> {
  const unknown = (reason: string, hint: string) =>
    new OutcomeUnknown(`${messageOf(error)}; ${reason}`, hint, exitCodeOf(error), { cause: error });
  let left: string;
  try {
    left = await run(sessionEnd(name));
  } catch (failure) {
    throw unknown(
      `whether the server still executes it is unknown (${messageOf(failure)})`,
      `end it when the server answers: \`psql -d postgres -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${name}'"\`.`,
    );
  }
  const pid = left.trim();
  if (pid === '') return;
  throw unknown(
    `its process ${pid} in the server does not end, so it may still be done`,
    `find out why process ${pid} hangs (ps, dmesg), then run ./scripts/health-check.ts.`,
  );
}
