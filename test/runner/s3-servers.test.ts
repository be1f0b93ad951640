/** The process of the S3 servers may lose whoever asks, and its own life; the run goes on. */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import { offerS3Servers } from './s3-servers.ts';

const children = () =>
  readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean);

/** @returns what the server says of itself */
const asked = (path: string) =>
  new Promise<{ env: Record<string, string> }>((resolve, reject) => {
    const socket = connect(path, () => socket.resume());
    socket.once('data', text => {
      resolve(JSON.parse(String(text)));
      socket.destroy();
    });
    socket.once('error', reject).once('close', () => reject(new Error('closed without a server')));
  });

test('a process of servers that was killed is followed by another', async () => {
  const directory = mkdtempSync(join(tmpdir(), 's3-servers-'));
  const path = join(directory, 'socket');
  const end = await offerS3Servers(path);
  try {
    assert.match((await asked(path)).env.S3_ENDPOINT!, /^http/);
    const [host] = children();
    process.kill(Number(host), 'SIGKILL');
    await until('it is gone', () => !children().includes(host!));
    assert.match((await asked(path)).env.S3_ENDPOINT!, /^http/);
  } finally {
    end();
    rmSync(directory, { recursive: true });
  }
});

test('a connection that was closed on its way does not end the process', async () => {
  const host = fork(join(import.meta.dirname, 's3-host.ts'));
  const exited = new Promise(resolve => host.once('exit', resolve));
  host.send('a server'); // as it arrives without the connection
  await new Promise(resolve => host.send('a server', resolve));
  host.disconnect();
  assert.is(await exited, 0);
});

/** @returns the exit code of the process after a file of `path` could not be opened, and the runner has ended */
async function afterLateWrite(path: string) {
  const script = `import { createWriteStream } from 'node:fs';
    process.on('uncaughtException', () => process.send('seen'));
    process.once('message', () => createWriteStream('${path}'));`;
  const host = fork(join(import.meta.dirname, 's3-host.ts'), {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(script)}`],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const exited = new Promise<number | null>(resolve => host.once('exit', resolve));
  const seen = new Promise(resolve => host.once('message', resolve));
  host.send('now');
  await Promise.race([seen, exited]);
  if (host.connected) host.disconnect();
  return exited;
}

test('a file that a server opens after its directory is gone does not end the process, another error does', async () => {
  assert.is(await afterLateWrite('/dev/shm/throwaway-s3-gone/bucket/x'), 0);
  assert.is.not(await afterLateWrite('/dev/shm/no-such-place/x'), 0);
});

test.run();
