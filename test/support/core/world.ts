import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import type { ThrowawayPostgres } from '../../../scripts/lib/drill/throwaway-postgres.ts';
import type { ThrowawayS3 } from '../../../scripts/lib/drill/throwaway-s3.ts';
import { asJson, identifier } from '../../../scripts/lib/postgres/client.ts';
import { ask } from '../postgres/ask.ts';
import { startTestPostgres } from '../postgres/test-postgres.ts';
import { startTestS3 } from '../s3/test-s3.ts';

/**
 * How long a test waits for what should come soon. Far more than it takes on a machine at full load: what ends a wait
 * is the event, and this only ends one in vain.
 */
export const WAIT_SECONDS = 120;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  /** What stderr has shown so far. */
  stderr: () => string;
  ended: Promise<Ended>;
  /** Resolves when stderr matches; rejects when the script ends before, or after `seconds`. */
  shows: (pattern: RegExp, seconds?: number) => Promise<void>;
}

/** A real PostgreSQL, a real S3 server, directories of their own, and scripts run as processes. */
export interface World {
  pg: ThrowawayPostgres;
  s3: ThrowawayS3;
  /** The live database's name. */
  database: string;
  directory: string;
  /** The environment of every script; change it before a run. Nothing of the test's own environment but PATH and HOME. */
  env: Record<string, string>;
  start: (script: string, args?: string[], env?: Record<string, string>, options?: SpawnOptions) => Started;
  run: (
    script: string,
    args?: string[],
    env?: Record<string, string>,
    options?: SpawnOptions,
  ) => Promise<Ended>;
  /** Statements, in the live database unless another is named. */
  sql: (sql: string, database?: string) => Promise<string>;
  rows: <Row>(sql: string, database?: string) => Promise<Row[]>;
  stop: () => Promise<void>;
}

/** The server knows neither: a client that does not try them needs a seventh less time. */
const UNENCRYPTED = { PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' };

interface Wishes {
  database?: string;
  password?: string;
  /** A directory for backups, logs and state; default: a new one below the temporary directory. */
  directory?: string;
  /** Starts its server; default: one of this machine's version. */
  postgres?: () => Promise<ThrowawayPostgres>;
  /** The S3 server in this process, so that the test can reach into it. */
  s3Here?: boolean;
}

/** Runs `body` in a new world and takes it down again, whatever happens. */
export async function inWorld(body: (world: World) => Promise<void>, wishes: Wishes = {}): Promise<void> {
  const world = await createWorld(wishes);
  try {
    await body(world);
  } finally {
    await world.stop();
  }
}

export async function createWorld({
  database = 'app',
  password,
  directory,
  s3Here,
  postgres = () => startTestPostgres(password),
}: Wishes = {}): Promise<World> {
  const home = directory ?? mkdtempSync(join(tmpdir(), 'world-'));
  chmodSync(home, 0o755);
  const pg = await postgres();
  Object.assign(process.env, UNENCRYPTED); // for what is called in this process
  const s3 = await startTestS3(s3Here);
  const env: Record<string, string> = {
    HOME: home,
    PATH: process.env.PATH!,
    ...UNENCRYPTED,
    ...pg.env,
    ...s3.env,
    POSTGRES_DB: database,
    BACKUP_DIR: join(home, 'backups'),
    LOG_DIR: join(home, 'logs'),
    STATE_DIR: join(home, 'state'),
    HOOKS_DIR: join(home, 'hooks'),
  };
  const start: World['start'] = (script, args = [], extra = {}, options = {}) =>
    startScript(script, args, { ...env, ...extra }, options);
  const sql: World['sql'] = (text, name = database) => ask(pg.postgres, name, text);
  await sql(`CREATE DATABASE ${identifier(database)} STRATEGY FILE_COPY`, 'postgres'); // a third of the work
  return {
    pg,
    s3,
    database,
    directory: home,
    env,
    start,
    run: (...args) => start(...args).ended,
    sql,
    rows: async (text, name = database) => JSON.parse(await sql(asJson(text), name)),
    stop: async () => {
      await Promise.allSettled([pg.stop(), s3.stop()]);
      if (!directory) await rm(home, { recursive: true, force: true });
    },
  };
}

/** Starts `scripts/<script>.ts` by its path, as an operator or cron does. */
export function startScript(
  script: string,
  args: string[],
  env: Record<string, string>,
  options: SpawnOptions = {},
): Started {
  return startProgram(join(ROOT, `scripts/${script}.ts`), args, env, options);
}

/** Starts a program and collects what it prints. */
export function startProgram(
  program: string,
  args: string[],
  env: Record<string, string>,
  options: SpawnOptions = {},
): Started {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: Buffer) => {
    stdout += text;
  });
  child.stderr?.on('data', (text: Buffer) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    child,
    stderr: () => stderr,
    ended,
    shows: async (pattern, seconds = WAIT_SECONDS) => {
      let over = false;
      void ended.then(() => {
        over = true;
      });
      for (const end = Date.now() + seconds * 1000; !pattern.test(stderr); ) {
        if (over) throw new Error(`the script ended before it showed ${pattern}:\n${stderr}`);
        if (Date.now() > end) throw new Error(`after ${seconds} s it has not shown ${pattern}:\n${stderr}`);
        await new Promise(resolve => setTimeout(resolve, 5));
      }
    },
  };
}

/** Waits until `condition` holds. @throws after `seconds`, with what was waited for */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = WAIT_SECONDS,
): Promise<void> {
  const started = Date.now();
  while (!(await condition())) {
    const waited = Date.now() - started;
    if (waited > seconds * 1000) throw new Error(`waited ${seconds} s in vain: ${what}`);
    // A look at a server takes as long as this pause. What has lasted long may last a tenth longer.
    await new Promise(resolve => setTimeout(resolve, Math.min(200, Math.max(20, waited / 10))));
  }
}

/** Ends a program as a lost server or connection does, and waits until its children have ended. */
export async function kill(run: Started): Promise<void> {
  run.child.kill('SIGKILL');
  const { signal, stderr } = await run.ended;
  if (signal !== 'SIGKILL') throw new Error(`it had ended before it was killed:\n${stderr}`);
}

/** Kills a program as soon as `condition` holds. @throws if it ends before */
export async function killWhen(
  run: Started,
  condition: () => boolean | Promise<boolean>,
  seconds = WAIT_SECONDS,
): Promise<void> {
  let over = false;
  void run.ended.then(() => {
    over = true;
  });
  await until('it is at the point where it is killed', async () => over || condition(), seconds);
  if (over) throw new Error(`it ended before it was killed:\n${run.stderr()}`);
  await kill(run);
}

/** The lines of `state/history.jsonl`. */
export function history(world: World): { script: string; exitCode: number; error?: string }[] {
  const text = readFileSync(join(world.env.STATE_DIR!, 'history.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}
