/** The process of the S3 servers of all tests of a run. Each connection gets a server, which ends with it. */
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { startThrowawayS3 } from '../../scripts/lib/drill/throwaway-s3.ts';

const ending = new Set<() => Promise<void>>();

process.on('message', async (_, socket?: Socket) => {
  if (!socket) return; // who asked was gone before the connection arrived here
  const ended = new Promise(resolve => {
    for (const event of ['end', 'error', 'close']) socket.once(event, resolve);
  });
  const { stop, ...server } = await startThrowawayS3('bucket');
  // Once, and known until it is done: this process must not exit while a directory is being removed.
  let stopping: Promise<void> | undefined;
  const stopOnce = () => {
    stopping ??= stop();
    return stopping;
  };
  ending.add(stopOnce);
  socket.resume().write(JSON.stringify(server));
  await ended;
  await stopOnce();
  ending.delete(stopOnce);
  socket.destroy();
});

// A test can end while a request of a process that it has killed is still being written: the server opens its file after
// the directory has been removed. That must not end the servers of the others.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  const directory = error.path?.match(/^.*\/throwaway-s3-[^/]+/)?.[0];
  if (error.code !== 'ENOENT' || !directory || existsSync(directory)) throw error;
});

// The runner has ended, in whatever way.
process.once('disconnect', async () => {
  await Promise.allSettled([...ending].map(stop => stop()));
  process.exit();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {}); // the runner's word counts
