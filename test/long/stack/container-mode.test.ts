/* The scripts with PostgreSQL in a container: what test/stack/container-mode.test.ts shows of one format, of the other. */
import { test } from 'uvu';
import { killedLoad, startServer, wholeCycle } from '../../stack/lib/container-server.ts';

const server = await startServer();

test('plain: backed up from the container, restored into it, undone, drilled', () =>
  wholeCycle(server, 'plain'));

test('SIGKILL while a plain dump loads ends it in the container too, and the next run succeeds', () =>
  killedLoad(server, 'plain'));

test('the server never crashed', () => server.stop());

test.run();
