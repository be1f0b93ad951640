/** The live database's disk: what a drill, restore or backup leaves of it. PostgreSQL stops with PANIC on a full one. */
import { test } from 'uvu';
import { assertSpaceLeft } from '../support/postgres/small-disk.ts';

/** With a wrong manifest, a live database that grows meanwhile, and pg_wal on a disk of its own: test/long/integration/disk-space.test.ts. */
test('a small disk of the live database', () => assertSpaceLeft(false));

test.run();
