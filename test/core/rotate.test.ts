import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bounds, rotateLarge } from '../../scripts/lib/core/rotate.ts';
import { startChild } from '../support/core/child.ts';
import { type Call, killedAt, stepsOf } from '../support/core/killed-at.ts';

const APPENDS = join(import.meta.dirname, '../support/core/appends.ts');
const BOUNDS: Bounds = { limit: 100, older: 2 };

/** Has a file in a directory of its own. */
async function withFile(body: (path: string, directory: string) => unknown): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'rotate-'));
  try {
    await body(join(directory, 'x.log'), directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const full = (name: string) => `${name}\n`.padEnd(BOUNDS.limit, 'x');
/** The first line of each file of a directory. */
const contents = (directory: string) =>
  readdirSync(directory)
    .sort()
    .map(name => `${name}: ${readFileSync(join(directory, name), 'utf8').split('\n')[0]}`);

test('a file that has reached its limit is rotated, the oldest goes, and a smaller one stays', () =>
  withFile((path, directory) => {
    assert.is(rotateLarge(path, BOUNDS), undefined, 'there is none yet');
    assert.equal(readdirSync(directory), []);
    for (const name of ['a', 'b', 'c', 'd']) {
      writeFileSync(path, full(name).slice(1));
      rotateLarge(path, BOUNDS);
      assert.is(readFileSync(path, 'utf8').length, BOUNDS.limit - 1, 'below the limit');
      writeFileSync(path, full(name));
      assert.is(rotateLarge(path, BOUNDS), undefined);
    }
    assert.equal(contents(directory), ['x.log: ', 'x.log.1: d', 'x.log.2: c']);
  }));

test('the new file has the mode and the group of the old one, also after a kill in between', () =>
  withFile((path, directory) => {
    for (const [mode, gid] of [
      [0o600, process.getegid!()],
      [0o660, process.getuid!() === 0 ? 12_345 : process.getegid!()],
    ] as const) {
      writeFileSync(path, full('a'));
      chmodSync(path, mode);
      chownSync(path, process.getuid!(), gid);
      rotateLarge(path, BOUNDS);
      const found = statSync(path);
      assert.equal([found.mode & 0o777, found.gid, found.size], [mode, gid, 0]);
      rmSync(path);
      rotateLarge(path, BOUNDS);
      assert.equal([statSync(path).mode & 0o777, statSync(path).gid], [mode, gid], 'after the kill');
    }
    assert.equal(readdirSync(directory).sort(), ['x.log', 'x.log.1', 'x.log.2']);
  }));

test('a process that has the file open loses no line', () =>
  withFile((path, directory) => {
    const held = openSync(path, 'a');
    writeSync(held, full('held'));
    rotateLarge(path, BOUNDS);
    writeSync(held, 'late\n');
    closeSync(held);
    assert.ok(readFileSync(`${path}.1`, 'utf8').endsWith('late\n'));
    assert.is(readFileSync(path, 'utf8'), '');
    assert.equal(readdirSync(directory).length, 2);
  }));

test('of three processes that write and rotate, each line is kept once, and no rotated file is small', () =>
  withFile(async (path, directory) => {
    const [lines, limit] = [150, 500];
    const names = ['one', 'two', 'three'];
    const children = names.map(name =>
      startChild(process.execPath, [APPENDS, path, name, String(lines), String(limit)]),
    );
    for (const child of children) assert.is((await child.exited).code, 0, child.output());
    const files = readdirSync(directory);
    const all = files.flatMap(name => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'));
    const wanted = names.flatMap(name => Array.from({ length: lines }, (_, at) => `${name} ${at}`));
    assert.equal(all.sort(), wanted.sort());
    for (const name of files) if (name !== 'x.log') assert.ok(statSync(join(directory, name)).size >= limit);
    assert.ok(files.length > 3);
  }));

test('a kill at any step loses no line, and the next run goes on', () =>
  withFile((path, directory) => {
    const call: Call = { file: 'core/rotate.ts', name: 'rotateLarge', args: [path, BOUNDS] };
    const begin = () => {
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
      for (const [file, name] of [
        [path, 'c'],
        [`${path}.1`, 'b'],
        [`${path}.2`, 'a'],
      ] as const)
        writeFileSync(file, full(name));
    };
    begin();
    const steps = stepsOf(call);
    assert.is(steps.filter(step => step === 'renameSync').length, 2, String(steps));
    const wanted = ['x.log: d', 'x.log.1: c', 'x.log.2: b'];
    for (const [at, step] of steps.entries()) {
      begin();
      killedAt(call, at);
      assert.ok(readdirSync(directory).length <= 3, `${step} (${at})`);
      rotateLarge(path, BOUNDS);
      appendFileSync(path, 'd\n');
      assert.equal(contents(directory), wanted, `${step} (${at})`);
    }
  }));

test('what is not a file of this user is left alone, and said once', () =>
  withFile((path, directory) => {
    const once = (file: string, pattern: RegExp) => {
      assert.match(rotateLarge(file, BOUNDS) ?? '', pattern);
      assert.is(rotateLarge(file, BOUNDS), undefined, 'said twice');
      assert.ok(statSync(file).size >= BOUNDS.limit);
    };
    const target = join(directory, 'target');
    writeFileSync(target, full('a'));
    symlinkSync(target, path);
    once(path, /^.*x\.log \(100 B\) is not rotated: it is a symbolic link\n {2}→ .* delete it yourself\.$/);
    if (process.getuid!() === 0) {
      const foreign = join(directory, 'foreign.log');
      writeFileSync(foreign, full('a'));
      chownSync(foreign, 12_345, 12_345);
      once(foreign, /it belongs to another user \(uid 12345\)/);
    }
    const blocked = join(directory, 'blocked.log');
    writeFileSync(blocked, full('a'));
    mkdirSync(`${blocked}.1/full`, { recursive: true });
    mkdirSync(`${blocked}.2/full`, { recursive: true });
    once(blocked, /blocked\.log is not rotated: /);
  }));

test('without flock it says so, and the file stays', () =>
  withFile(path => {
    const { PATH } = process.env;
    process.env.PATH = '/nowhere';
    try {
      writeFileSync(path, full('a'));
      assert.match(rotateLarge(path, BOUNDS) ?? '', /is not rotated: spawnSync flock ENOENT/);
      assert.not.ok(existsSync(`${path}.1`));
    } finally {
      process.env.PATH = PATH;
    }
  }));

test('a file of 10 GB is renamed unread, and named', () =>
  withFile(path => {
    writeFileSync(path, '');
    truncateSync(path, 10e9);
    const before = process.memoryUsage().rss;
    assert.match(
      rotateLarge(path, { limit: 10e6, older: 2 }) ?? '',
      /x\.log had [\d.]+ Gi?B and is now .*x\.log\.1\n {2}→ when it is not needed: rm \S+x\.log\.1$/,
    );
    assert.ok(process.memoryUsage().rss - before < 100e6);
    assert.is(statSync(`${path}.1`).size, 10e9);
    assert.is(statSync(path).size, 0);
  }));

test('a file with two names is rotated: the other name keeps it', () =>
  withFile((path, directory) => {
    writeFileSync(path, full('a'));
    linkSync(path, join(directory, 'other'));
    assert.is(rotateLarge(path, BOUNDS), undefined);
    assert.equal(contents(directory), ['other: a', 'x.log: ', 'x.log.1: a']);
  }));

test.run();
