/* How many test files run at once, and which. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/core/world.ts';
import type { TestFile } from './files.ts';
import { runAll } from './lanes.ts';
import { mostlyWaits } from './times.ts';

const file = (path: string, more: Partial<TestFile> = {}): TestFile => ({
  path,
  source: '',
  needsEngine: false,
  ...more,
});

/** Files that run until they are told to end, by their names; `most` is how many ran at once. */
function bench(
  files: TestFile[],
  idle: () => number,
  limits = { min: 2, max: 4 },
  mayRun = (_: TestFile) => true,
) {
  const ends = new Map<string, () => void>();
  const started: string[] = [];
  let changed = () => {};
  const all = runAll(
    files,
    ({ path }) => {
      started.push(path);
      return new Promise(resolve => {
        ends.set(path, () => {
          ends.delete(path);
          resolve();
        });
      });
    },
    mayRun,
    new Promise<void>(resolve => {
      changed = resolve;
    }),
    { ...limits, idle, look: 0.001 },
  );
  /** Waits until exactly these run, and sees that no other one starts by itself. */
  const runs = async (...names: string[]) => {
    await until(`exactly [${names}] run`, () => [...ends.keys()].join() === names.join(), 10);
    await new Promise(resolve => setTimeout(resolve, 20)); // time enough for what must not happen
    assert.equal([...ends.keys()], names);
  };
  return { all, ends, started, runs, changed: () => changed() };
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

test('a file that mostly waits takes no lane from those that compute', async () => {
  const waits = { waits: true };
  const { all, ends, runs } = bench(
    [file('a', waits), file('b'), file('c'), file('d', waits), file('e')],
    () => 0,
  );
  await runs('a', 'b', 'c');
  ends.get('b')!();
  await runs('a', 'c', 'd', 'e');
  for (const end of [...ends.values()]) end();
  await all;
});

test('which files mostly wait is known from the last run, but for what containers do', () => {
  const waits = (seconds: number, cpuSeconds: number, needsEngine = false) =>
    mostlyWaits(file('a', { needsEngine }), { a: { seconds, cpuSeconds } });
  assert.equal([waits(20, 2), waits(20, 6), waits(2, 0), waits(20, 2, true)], [true, false, false, false]);
  assert.is(mostlyWaits(file('a'), {}), false);
});

test('a machine without idle processors runs the minimum of files, in order', async () => {
  const { all, ends, started, runs } = bench(
    NAMES.map(name => file(name)),
    () => 0,
  );
  for (const [index, name] of NAMES.entries()) {
    await runs(...NAMES.slice(index, index + 2));
    ends.get(name)!();
  }
  await all;
  assert.equal(started, NAMES);
});

test('an idle machine gets one more at each look, up to the maximum', async () => {
  let looks = 0;
  const { all, ends, runs } = bench(
    NAMES.map(name => file(name)),
    () => (looks++ < 1 ? 0 : 0.9),
  );
  await runs('a', 'b', 'c', 'd');
  for (const name of ['a', 'b', 'c', 'd']) ends.get(name)!();
  await runs('e', 'f');
  for (const name of ['e', 'f']) ends.get(name)!();
  await all;
});

test('files with containers count for more: of three places, two fill all', async () => {
  const engine = { needsEngine: true };
  const files = [file('a', engine), file('b', engine), file('c'), file('d'), file('e', engine)];
  const { all, ends, runs } = bench(files, () => 0, { min: 3, max: 4 });
  await runs('a', 'b');
  ends.get('a')!();
  await runs('b', 'c', 'd');
  ends.get('b')!();
  await runs('c', 'd', 'e');
  for (const end of [...ends.values()]) end();
  await all;
});

test('files of a group never run at once, and others pass them', async () => {
  const group = { group: 'one stack' };
  const { all, ends, started, runs } = bench([file('a', group), file('b', group), file('c')], () => 0);
  await runs('a', 'c');
  ends.get('c')!();
  await runs('a');
  ends.get('a')!();
  await runs('b');
  ends.get('b')!();
  await all;
  assert.equal(started, ['a', 'c', 'b']);
});

test('what needs the engine starts when it is there', async () => {
  let ready = false;
  const files = [file('stack', { needsEngine: true }), file('a')];
  const { all, ends, runs, changed } = bench(
    files,
    () => 0,
    { min: 2, max: 2 },
    each => ready || !each.needsEngine,
  );
  await runs('a');
  ends.get('a')!();
  await runs();
  ready = true;
  changed();
  await runs('stack');
  ends.get('stack')!();
  await all;
});

test.run();
