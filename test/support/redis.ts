import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { startChild } from './child.ts';
import { freePort } from './ports.ts';

export type ThrowawayRedis = { url: string; port: number; password: string; stop(): Promise<void> };

function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names
    .flatMap(name => folders.map(folder => join(folder, name)))
    .find(path => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Finds the Redis server, and installs it on a Debian machine where this runs as root. Debian keeps the server in
 * redis-tools under the name of redis-check-rdb (the program acts by the name that it's called by); the package
 * redis-server adds only a link and a service, and a test machine should get no service.
 * @throws {Error} that says what to install
 */
function redisServer(): string {
  const names = ['redis-server', 'redis-check-rdb'];
  const found = findProgram(...names);
  if (found) return found;
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) {
    throw new Error('the Redis server is missing: install Redis 7 (on Debian: apt-get install redis-tools)');
  }
  process.stderr.write('installing redis-tools with apt-get: the Redis server is missing\n');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-tools'], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const installed = findProgram(...names);
  if (!installed) throw new Error('apt-get installed redis-tools, and there is still no Redis server');
  return installed;
}

/** Starts a real Redis with a password, on a port and in a directory of its own, evicting as production does. */
export async function startRedis(): Promise<ThrowawayRedis> {
  const directory = mkdtempSync(join(tmpdir(), 'redis-'));
  const [port, password] = [await freePort(), 'throwaway-redis-password'];
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: directory,
    requirepass: password,
    'maxmemory-policy': 'volatile-lru',
    save: '""',
  };
  // Read from stdin: a password in the arguments would be in the list of processes.
  const child = startChild(redisServer(), ['-'], {
    argv0: 'redis-server',
    input: Object.entries(settings)
      .map(setting => setting.join(' '))
      .join('\n'),
  });
  const stop = async () => {
    await child.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await child.line(/Ready to accept connections/);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://:${password}@127.0.0.1:${port}`, port, password, stop };
}
