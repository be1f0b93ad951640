import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canInstall } from '../../../scripts/lib/core/packages.ts';
import { hasProgram } from '../../../scripts/lib/core/shell.ts';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { install } from '../../engine/apt.ts';
import { startChild } from '../core/child.ts';

export type ThrowawayRedis = { url: string; port: number; password: string; stop(): Promise<void> };

/**
 * Finds the Redis server, and installs it on a Debian machine where this runs as root. Debian keeps the server in
 * redis-tools under the name of redis-check-rdb (the program acts by the name that it's called by); the package
 * redis-server adds only a link and a service, and a test machine should get no service.
 * @throws {Error} that says what to install
 */
async function redisServer(): Promise<string> {
  const find = () => ['redis-server', 'redis-check-rdb'].find(hasProgram);
  if (!find()) {
    if (!canInstall()) {
      throw new Error(
        'there is no Redis server: install Redis 7 (Debian and Ubuntu: apt-get install redis-tools)',
      );
    }
    await install(['redis-tools']);
  }
  const found = find();
  if (!found) throw new Error('redis-tools is installed, and there is still no Redis server');
  return found;
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
  const child = startChild(await redisServer(), ['-'], {
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
