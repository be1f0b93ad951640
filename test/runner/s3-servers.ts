import { type ChildProcess, fork } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { surroundings } from './run-file.ts';

const HOST = join(import.meta.dirname, 's3-host.ts');

/**
 * Lets test files have S3 servers of one process, which starts with the first of them.
 * @param path of a socket; the environment of the files names it
 * @returns what ends the process and its servers
 */
export async function offerS3Servers(path: string): Promise<() => void> {
  let host: ChildProcess | undefined;
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, socket => {
    // One that has ended fails those that had a server of it, and no run: the next connection starts another.
    if (!host?.connected) host = fork(HOST, { env: { ...process.env, ...surroundings(false) } });
    host.send('a server', socket, error => error && socket.destroy());
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  process.env.TEST_S3_HOST = path;
  return () => {
    server.close();
    if (host?.connected) host.disconnect();
  };
}
