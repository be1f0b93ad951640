/**
 * The one installer of packages, with the real apt-get and dpkg: their files are below a directory of the test's, and
 * the packages come from a repository on disk, so nothing is installed on the machine.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { onMachine } from '../support/core/apt-machine.ts';

test('missing packages are installed, installed ones are not touched, and unknown ones are named', () =>
  onMachine(async ({ install, done }) => {
    const first = await install('left').ended;
    assert.is(first.code, 0, first.stderr);
    assert.match(first.stderr, /installing with apt-get: left$/m);
    const both = await install('left', 'right').ended;
    assert.is(both.code, 0, both.stderr);
    assert.match(both.stderr, /installing with apt-get: right$/m);
    assert.equal(done(), ['install left', 'install right']);
    const again = await install('right', 'left').ended;
    assert.is(again.code, 0);
    assert.is(again.stderr, '', 'apt-get is not even asked');
    const unknown = await install('left', 'nowhere').ended;
    assert.is(unknown.code, 1);
    assert.match(unknown.stderr, /could not install nowhere: .*Unable to locate package nowhere/);
  }));

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

// Every lock of another program: test/long/integration/packages.test.ts.

test.run();
