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

// Two at once, and every lock of another program: test/long/integration/packages.test.ts.

test.run();
