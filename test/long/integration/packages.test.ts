/** The one installer of packages beside another program that holds a lock, and beside itself. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertWaits, onMachine } from '../../support/core/apt-machine.ts';

for (const lock of ['state/lists/lock', 'cache/archives/lock', 'dpkg/lock-frontend'])
  test(`a lock of another program is waited for: ${lock}`, () => assertWaits(lock));

test('two at once: one installs, and the other waits for it and finds it done', () =>
  onMachine(async ({ holdLock, install, done }) => {
    // The first one is held up by another's lock, so the second surely comes while it is at work.
    const holder = await holdLock('state/lists/lock');
    const first = install('left');
    await first.shows(/another program, which holds a lock/);
    const second = install('left', 'right');
    await new Promise(resolve => setTimeout(resolve, 500)); // time enough for what must not happen
    assert.is(second.stderr(), '', 'it waits before it looks');
    await holder.stop('SIGKILL');
    for (const { ended } of [first, second]) {
      const { code, stderr } = await ended;
      assert.is(code, 0, stderr);
    }
    assert.match(second.stderr(), /installing with apt-get: right$/m);
    assert.equal(done(), ['install left', 'install right']);
  }));

test.run();
