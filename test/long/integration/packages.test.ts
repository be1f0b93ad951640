/** Each lock that another program can hold while the one installer runs; test/integration/packages.test.ts has one of them. */
import { test } from 'uvu';
import { assertWaits } from '../../support/core/apt-machine.ts';

for (const lock of ['state/lists/lock', 'cache/archives/lock', 'dpkg/lock-frontend'])
  test(`a lock of another program is waited for: ${lock}`, () => assertWaits(lock));

test.run();
