/**
 * Asks a server in this process: to start a psql takes more than its answer does, and a run of the tests asks a
 * thousand times.
 */
import { Client, type QueryArrayResult } from 'pg';
import type { Postgres } from '../../../scripts/lib/config/config.ts';

/** As the scripts have it: what a role or a database sets must not end a test's own question. */
const NO_LIMITS = '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0';

const STARTING = '57P03';
const WAIT_SECONDS = 60;

/**
 * Runs each text of statements, in a transaction of its own, in one session. A server that starts or recovers is waited
 * for.
 *
 * @returns what psql would print of the rows, unaligned
 * @throws Error with the server's message
 */
export async function ask(
  { host, port, user, password }: Postgres,
  database: string,
  ...texts: string[]
): Promise<string> {
  const client = await connected(
    () => new Client({ host, port, user, password, database, application_name: 'test', options: NO_LIMITS }),
  );
  try {
    const rows: string[] = [];
    for (const text of texts) {
      const types = { getTypeParser: () => (value: string) => value };
      const answer = await client.query({ text, rowMode: 'array', types });
      for (const result of [answer].flat() as QueryArrayResult<(string | null)[]>[])
        rows.push(...(result.rows ?? []).map(row => `${row.map(value => value ?? '').join('|')}\n`));
    }
    return rows.join('');
  } catch (error) {
    throw asPsql(error);
  } finally {
    await client.end().catch(() => {}); // its query has failed with the reason
  }
}

async function connected(create: () => Client): Promise<Client> {
  for (const deadline = Date.now() + WAIT_SECONDS * 1000; ; ) {
    const client = create();
    client.on('error', () => {}); // the query that runs then fails with it
    try {
      await client.connect();
      return client;
    } catch (error) {
      if ((error as { code?: string }).code !== STARTING || Date.now() > deadline) throw asPsql(error);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
}

/** The server's message with its severity: `ERROR: relation "x" does not exist`. */
function asPsql(error: unknown): Error {
  const { severity, message } = error as { severity?: string; message: string };
  return new Error(severity ? `${severity}: ${message}` : message, { cause: error });
}
