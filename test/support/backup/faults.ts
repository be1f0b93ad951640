import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { until, type World } from '../core/world.ts';

/** A moment of a script at which it stands still until the test lets it go on. */
export interface Gate {
  /** What the script needs in its environment to come to this gate. */
  env: Record<string, string>;
  /** Whether the script stands at the gate, or did before it was opened. */
  stands: () => boolean;
  /** Resolves when the script stands at the gate. */
  reached: () => Promise<void>;
  open: () => void;
}

interface Where {
  /** The program that stops: its name on PATH. */
  program: string;
  /** A regular expression (of bash) that its arguments match; only the first such call stops. */
  args?: string;
  /** A regular expression (of bash) that the path of the file on its stdin matches: of two alike, which one stops. */
  reading?: string;
  /** Stops after so many bytes of its input, or of its output; default: before it starts. */
  input?: number;
  output?: number;
}

/**
 * Puts a program before the real one on PATH that stops once, at one moment, and otherwise is the real one.
 * @param how what it does at the moment instead of waiting, in bash: `kill -9 $PPID`
 */
export function gateAt(
  world: World,
  { program, args = '', reading = '', input, output }: Where,
  how?: string,
): Gate {
  const directory = mkdtempSync(join(world.directory, 'gate-'));
  const real = realProgram(world, program);
  const stop = how ?? standStill(directory);
  const act =
    input !== undefined
      ? `{ head -c ${input}; ${stop}; exec cat; } | '${real}' "$@"; exit`
      : output !== undefined
        ? `'${real}' "$@" | { head -c ${output}; ${stop}; exec cat; }; exit \${PIPESTATUS[0]}`
        : stop;
  writeFileSync(
    join(directory, program),
    `#!/bin/bash\npattern='${args}'\nreading='${reading}'\n` +
      `if [[ "$*" =~ $pattern && $(readlink /proc/$$/fd/0) =~ $reading ]] && mkdir '${directory}/taken' 2>/dev/null\n` +
      `then\n${act}\nfi\nexec '${real}' "$@"\n`,
    { mode: 0o755 },
  );
  return gateIn(world, directory, `${program} ${args}`);
}

/** What a script starts for its work; not what it starts to clean up. */
const STEPS = ['flock', 'psql', 'pg_dump', 'pg_dumpall', 'pg_restore', 'vacuumdb', 'gzip', 'zstd'];

/**
 * The moment before the script starts the program that is its `step`-th, counted from 1 over all that it starts for
 * its work. In a pipe, the order in which its programs start is anybody's guess.
 */
export function gateAtStep(world: World, step: number): Gate {
  const directory = mkdtempSync(join(world.directory, 'gate-'));
  for (const program of STEPS) {
    writeFileSync(
      join(directory, program),
      `#!/bin/bash\nn=1; while ! mkdir '${directory}/step-'$n 2>/dev/null; do n=$((n + 1)); done\n` +
        `if [ $n = ${step} ]; then ${standStill(directory)}; fi\nexec '${realProgram(world, program)}' "$@"\n`,
      { mode: 0o755 },
    );
  }
  return gateIn(world, directory, `step ${step}`);
}

function realProgram(world: World, program: string): string {
  const directories = world.env.PATH!.split(delimiter);
  const real = directories.map(each => join(each, program)).find(path => existsSync(path));
  if (!real) throw new Error(`there is no ${program} on PATH`);
  return real;
}

/**
 * Bash that stands still until the gate is opened. It has the FIFO open before it looks whether the gate is, so that
 * what {@link openGate} writes is not lost.
 */
function standStill(directory: string): string {
  const fifo = join(directory, 'fifo');
  if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
  return `exec 8<>'${fifo}'; : > '${directory}/reached'; [ -e '${directory}/open' ] || read -r -u 8 _; exec 8>&-`;
}

/** Lets go on who stands at the gate, and who comes to it later. */
function openGate(directory: string): void {
  writeFileSync(join(directory, 'open'), '');
  const fifo = join(directory, 'fifo');
  if (!existsSync(fifo)) return; // nobody stands still here
  const descriptor = openSync(fifo, 'r+'); // which does not wait for a reader
  writeSync(descriptor, '\n');
  closeSync(descriptor);
}

function gateIn(world: World, directory: string, what: string): Gate {
  const stands = () => existsSync(join(directory, 'reached'));
  return {
    env: { PATH: `${directory}${delimiter}${world.env.PATH}` },
    stands,
    reached: () => until(`${what} at its gate`, stands, 120),
    open: () => openGate(directory),
  };
}

/** The moment in which the text of a request to the store matches. It is never let go on. */
export async function gateAtStore(
  world: World,
  request: RegExp,
): Promise<Pick<Gate, 'env' | 'reached'> & { close: () => void }> {
  let held = false;
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const upstream = connect(world.s3.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (data: Buffer) => {
      if (request.test(data.toString('latin1'))) {
        held = true;
        client.pause();
      } else upstream.write(data);
    });
    client.on('close', () => upstream.destroy());
    upstream.pipe(client);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    env: { S3_ENDPOINT: `http://127.0.0.1:${port}` },
    reached: () => until(`a request that matches ${request}`, () => held, 60),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Process {
  pid: number;
  name: string;
  cmdline: string;
}

/** All processes that a script of this world started or is: they have its BACKUP_DIR in their environment. */
export function processesOf(world: Pick<World, 'env'>): Process[] {
  const mark = `BACKUP_DIR=${world.env.BACKUP_DIR}\0`;
  return readdirSync('/proc').flatMap(entry => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      if (!readFileSync(`/proc/${entry}/environ`, 'latin1').includes(mark)) return [];
      const name = readFileSync(`/proc/${entry}/comm`, 'utf8').trim();
      const cmdline = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return [{ pid: Number(entry), name, cmdline }];
    } catch {
      return []; // ended meanwhile
    }
  });
}

/**
 * Kills the one process of a script that runs this program with these words. It may not have started yet, and another that
 * works beside it may not have ended yet, when the script stands at its gate.
 */
export async function killProgram(world: World, name: string, words = ''): Promise<void> {
  const found = () =>
    processesOf(world).filter(
      ({ name: its, cmdline }) => its === name && cmdline.includes(words) && !cmdline.includes('/gate-'),
    );
  await until(`one process is ${name}`, () => found().length === 1).catch(error => {
    throw new Error(`${(error as Error).message}; there are\n${describeProcesses(world)}`);
  });
  process.kill(found()[0]!.pid, 'SIGKILL');
}

const describeProcesses = (world: World) =>
  processesOf(world)
    .map(({ pid, name, cmdline }) => `${pid} ${name}: ${cmdline}`)
    .join('\n');

/** @returns the names of all files below the backup directory that belong to no whole backup */
export function strayFiles(world: World): string[] {
  const names = readdirSync(world.env.BACKUP_DIR!);
  return names.filter(name => !names.includes(name.replace(/\..*$/, '.json')));
}

/** Removes all backups but these here and in the store, so that a hundred runs do not have to read them all. */
export function removeBackups(world: World, ids: string[]): void {
  for (const directory of [world.env.BACKUP_DIR!, join(world.s3.directory, world.s3.bucket, 'database')])
    for (const name of readdirSync(directory))
      if (!ids.some(id => name.startsWith(id))) rmSync(join(directory, name), { recursive: true });
}

/** @returns the databases beside the live one and PostgreSQL's own */
export async function otherDatabases(world: World): Promise<string[]> {
  const rows = await world.rows<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', '${world.database}')`,
    'postgres',
  );
  return rows.map(({ name }) => name);
}

/** @returns whether nobody holds the environment's lock at this moment */
export function lockIsFree(world: World, environment = 'production'): boolean {
  try {
    execFileSync('flock', ['-n', join(world.env.STATE_DIR!, `${environment}.lock`), 'true']);
    return true;
  } catch {
    return false;
  }
}

/** Waits until no process of a script is left: what a killed one had started ends by itself. */
export async function untilNoProcess(world: World): Promise<void> {
  await until('no process is left', () => processesOf(world).length === 0, 60).catch(error => {
    throw new Error(`${(error as Error).message}; there are\n${describeProcesses(world)}`);
  });
}
