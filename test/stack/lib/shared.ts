/**
 * One running stack for several test files, one after the other. A file that takes it leaves it as it found it, asks
 * as clients that nobody was before (`cloudflare.client()`), and depends on nothing that another file did. Run by
 * itself, a file has a stack of its own.
 *
 * The runner names a directory in TEST_SHARED_STACK. The first file starts the stack and describes it there, the
 * next ones attach to it, and `shared.ts end DIRECTORY` takes it down.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ensureEngine } from '../../engine/engine.ts';
import {
  attach,
  certificateOf,
  type Description,
  envFiles,
  ROOT,
  type Stack,
  stackImages,
  start,
  startStack,
  takeDown,
  writeFiles,
} from './stack.ts';

const DESCRIPTION = 'stack.json';
const SERVICES = ['backend-1', 'backend-2', 'frontend', 'nginx', 'postgres', 'redis'];
/** It restarts Nginx and gives it another certificate, for which the others should not wait. */
const LAST = 'tls.test.ts';

/** Of some test files, by their paths, those that share a stack, in the order in which they do. */
export function sharing(paths: string[]): string[] {
  const rank = (path: string) => Number(basename(path) === LAST);
  return paths
    .filter(path => readFileSync(path, 'utf8').includes("from './lib/shared.ts'"))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** The stack that the runner's files share, as new; one of this process alone where no runner asks for it. */
export async function sharedStack(): Promise<Stack> {
  const directory = process.env.TEST_SHARED_STACK;
  if (!directory) return startStack();
  const engine = await ensureEngine();
  const running = read(directory);
  if (running) {
    const stack = attach(engine, running, false);
    const why = await whatChanged(stack);
    if (!why) return stack;
    // The runner shows lines that begin so: the file before this one has left something behind.
    console.log(`» the shared stack is not as it was: ${why}; another one is started`);
    takeDown(engine, running);
  }
  const description = await writeFiles('production', await stackImages());
  write(directory, description); // so that it is ended even if this process is killed while it starts
  const ca = await start(attach(engine, description, false));
  write(directory, { ...description, ca });
  return attach(engine, { ...description, ca }, false);
}

/** Takes down the stack that was started for the files of a run. False: there was none. */
export async function endShared(directory: string): Promise<boolean> {
  const running = read(directory);
  if (!running) return false;
  takeDown(await ensureEngine(), running);
  rmSync(join(directory, DESCRIPTION));
  return true;
}

/** What is not as it was when the stack had started, or undefined. */
async function whatChanged(stack: Stack): Promise<string | undefined> {
  const { app, directory, environment, variables, ca } = stack;
  if (!ca) return 'its start was cut short';
  const list = await stack.docker(
    ...['ps', '--all', '--filter', `name=^${app}-`, '--format', '{{.Names}} {{.Status}}'],
  );
  const lines = list.split('\n').filter(line => !line.startsWith(`${app}-forwarder Up `));
  // The frontend has no health check but its image's own.
  const isWell = (service: string) => (service === 'frontend' ? / Up [^(]+$/ : / Up .+ \(healthy\)$/);
  const well = (service: string) =>
    lines.some(line => line.startsWith(`${stack.container(service)} `) && isWell(service).test(line));
  if (lines.length !== SERVICES.length || !SERVICES.every(well)) return lines.sort().join(', ');
  const [now, before] = [filesOf(join(directory, 'nginx')), filesOf(join(ROOT, 'nginx'))];
  const other = [...new Set([...Object.keys(now), ...Object.keys(before)])].filter(
    path => now[path] !== before[path],
  );
  if (other.length > 0) return `nginx/${other.join(', nginx/')}`;
  for (const [file, text] of Object.entries(envFiles(environment, variables)))
    if (readFileSync(join(directory, file), 'utf8') !== text) return file;
  return (await certificateOf(stack)) === ca ? undefined : 'its certificate';
}

function filesOf(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(directory.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function read(directory: string): Description | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, DESCRIPTION), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function write(directory: string, description: Description): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, DESCRIPTION), JSON.stringify(description), { mode: 0o600 });
}

if (import.meta.main) {
  const [verb, directory, ...rest] = process.argv.slice(2);
  if (verb !== 'end' || !directory || rest.length > 0) {
    console.error('Usage: node test/stack/lib/shared.ts end DIRECTORY');
    process.exitCode = 2;
  } else {
    await endShared(directory);
  }
}
