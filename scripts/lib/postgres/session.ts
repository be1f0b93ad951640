import type { Postgres } from '../config/config.ts';
import { messageOf } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { CommandError, startDialogue } from '../core/shell.ts';
import { interrupt } from '../core/signals.ts';
import { sessionName } from './abandoned.ts';
import { asJson, consumer, endSession, PSQL, toDatabase } from './client.ts';
import type { Query } from './query.ts';
import { LATER_LIMITS, OWN_NAMES, TEXT } from './settings.ts';

/** What runs statements of one session. */
export interface Statements {
  query: Query;
  /** Runs a statement that returns nothing. */
  execute: (sql: string) => Promise<void>;
}

/** A session that stays open, for several queries of one snapshot. */
export interface Session extends Statements, AsyncDisposable {
  close: () => Promise<void>;
}

/**
 * Opens a session of psql that reads statements from a pipe. It ends with this process. Its methods reject with
 * CommandError when psql ends, and with Interrupted after a signal, when the session is gone from the server.
 *
 * Names without a schema are PostgreSQL's. `RESET search_path` gives it that of the role or the database.
 */
export function openSession(postgres: Postgres, database: string): Session {
  const name = sessionName();
  const psqlArgv = [...PSQL, `--dbname=${toDatabase(database)}`];
  const { argv, env: common } = consumer(postgres, psqlArgv, 'dialogue', TEXT, ['search_path']);
  const env = { ...common, PGAPPNAME: name };
  const purpose = `keep a session with ${database}`;
  const { child, ended: psql, signal } = startDialogue(argv, { env, purpose });
  const input = child.stdin!;
  input.on('error', () => {}); // psql has ended: `ended` has the reason
  const end = () => {
    input.destroy(); // ends psql in a container
    signal('SIGTERM'); // psql reads its input again only when the statement is done
  };
  interrupt.addEventListener('abort', end, { once: true });
  let printed = '';
  let arrived = () => {};
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    arrived();
  });
  const ended = (async (): Promise<never> => {
    const { exitCode, stderr } = await psql;
    if (interrupt.aborted) {
      await endSession(postgres, name, interrupt.reason).catch(error => log.warn(messageOf(error)));
      throw interrupt.reason;
    }
    throw new CommandError(argv[0]!, exitCode, stderr, { purpose });
  })();
  ended.catch(() => {}); // rejects in send()
  let statements = 0;
  input.write(
    `SET ${OWN_NAMES}; SELECT set_config(name, '0', false) FROM (${LATER_LIMITS}) AS limits \\g /dev/null\n`,
  );

  async function send(sql: string): Promise<string> {
    const mark = `\n-- end of statement ${++statements} --\n`;
    printed = '\n';
    input.write(`${sql};\n\\echo '${mark.trim()}'\n`);
    const complete = new Promise<string>(resolve => {
      arrived = () => {
        if (printed.endsWith(mark)) resolve(printed.slice(0, -mark.length));
      };
    });
    return Promise.race([complete, ended]);
  }

  const close = async () => {
    interrupt.removeEventListener('abort', end);
    input.end();
    await ended.catch(() => {});
  };
  return {
    query: async <Row>(sql: string) => JSON.parse(await send(asJson(sql))) as Row[],
    execute: async sql => {
      await send(sql);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
