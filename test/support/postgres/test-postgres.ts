/** A PostgreSQL server of a test's own. `initdb` takes a second of a processor, so it runs once and is copied then. */
import { createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverPrograms } from '../../../scripts/lib/drill/postgres-process.ts';
import {
  startThrowawayPostgres,
  type ThrowawayPostgres,
} from '../../../scripts/lib/drill/throwaway-postgres.ts';
import { literal } from '../../../scripts/lib/postgres/client.ts';
import { CACHE } from '../../engine/engine.ts';
import { run, withLock } from '../../engine/process.ts';
import { ask } from './ask.ts';

const ITERATIONS = 1;
const SETTINGS = [
  'default_statistics_target = 1', // a restore gathers statistics of all catalogs, too, in half of the time then
  'jit = off', // of a query of catalogs that the planner takes for long: to load LLVM takes ten times as long
];
/** How the server asks for the password: with SCRAM, each session starts OpenSSL at both ends, a tenth of its cost. */
const METHOD = 'password';
/** Of a segment of the write-ahead log, of which each server gets a copy: with the default of 16 a third of all. */
const WAL_MIB = 1;

/** @param password of the superuser; default: one that servers of this machine's tests share */
export async function startTestPostgres(password?: string): Promise<ThrowawayPostgres> {
  const programs = serverPrograms();
  if (!programs) return startThrowawayPostgres(password);
  // Debian's psql is a script of Perl, which takes as long as four of the program that it starts.
  if (!process.env.PATH?.startsWith(`${programs}:`)) process.env.PATH = `${programs}:${process.env.PATH}`;
  const template = await ensureTemplate(programs);
  const common = readFileSync(join(template, 'password'), 'utf8');
  const server = await startThrowawayPostgres(common, join(template, 'data'));
  if (password === undefined) return server;
  try {
    await setPassword(server, password);
  } catch (error) {
    await server.stop();
    throw error;
  }
  server.postgres.password = password;
  server.env.POSTGRES_PASSWORD = password;
  return server;
}

/**
 * Sets the superuser’s password with one iteration of SCRAM, not 4096: a login costs a seventh less then, and one run of
 * a script has dozens.
 */
async function setPassword({ postgres }: ThrowawayPostgres, password: string): Promise<void> {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = hash('sha256', hmac('Client Key'), 'base64');
  const keys = `${stored}:${hmac('Server Key').toString('base64')}`;
  const verifier = `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${keys}`;
  await ask(postgres, 'postgres', `ALTER ROLE postgres PASSWORD ${literal(verifier)}`);
}

/** @returns a directory with `data` of a stopped server, which startThrowawayPostgres can copy, and `password` */
export async function ensureTemplate(programs: string): Promise<string> {
  const { size, mtimeMs } = statSync(`${programs}/postgres`);
  const name = hash(
    'sha256',
    JSON.stringify([programs, size, mtimeMs, process.getuid?.(), ITERATIONS, SETTINGS, METHOD, WAL_MIB]),
  ).slice(0, 12);
  const directory = join(CACHE, 'postgres', name);
  if (existsSync(directory)) return directory;
  await withLock(join(CACHE, 'postgres.lock'), async () => {
    if (existsSync(directory)) return;
    const partial = `${directory}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    const password = randomBytes(12).toString('hex');
    const server = await startThrowawayPostgres(password);
    try {
      await setPassword(server, password);
      for (const setting of SETTINGS) await ask(server.postgres, 'postgres', `ALTER SYSTEM SET ${setting}`);
      await server.halt();
      const rules = `${server.directory}/data/pg_hba.conf`;
      writeFileSync(rules, readFileSync(rules, 'utf8').replaceAll(/scram-sha-256$/gm, METHOD));
      const { uid, gid } = statSync(`${server.directory}/data`);
      const reset = [`${programs}/pg_resetwal`, `--wal-segsize=${WAL_MIB}`, `${server.directory}/data`];
      if (uid !== process.getuid?.())
        reset.unshift('setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups');
      await run(reset[0]!, reset.slice(1));
      await run('cp', ['-a', `${server.directory}/data`, join(partial, 'data')]); // with its owner
    } finally {
      await server.stop();
    }
    writeFileSync(join(partial, 'password'), password, { mode: 0o600 });
    renameSync(partial, directory);
  });
  return directory;
}
