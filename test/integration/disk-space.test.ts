/** The live database's disk: what a drill, restore or backup leaves of it. PostgreSQL stops with PANIC on a full one. */
import { test } from 'uvu';
import { assertSpaceLeft } from '../support/postgres/small-disk.ts';

/** With a live database that grows meanwhile: test/long/integration/disk-space.test.ts. */
test('a small disk of the live database', () => assertSpaceLeft(false));

test.run();
