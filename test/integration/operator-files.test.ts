/** Files on disks that are full, and files that are mounts of their own. Mounts them, as root. */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeVariables } from '../../scripts/lib/config/env-file.ts';
import { rewrite } from '../../scripts/lib/core/operator-file.ts';
import { rotateLarge } from '../../scripts/lib/core/rotate.ts';
import { fill, withDisk } from '../support/core/disk.ts';

const root = mkdtempSync(join(tmpdir(), 'operator-files-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
const BLOCK = 4096;

/** Mounts a file of the host on a file, as a container gets one. */
async function mounted(name: string, text: string, body: (path: string, host: string) => unknown) {
  const [host, path] = [join(root, `${name}-of-host`), join(root, name)];
  writeFileSync(host, text, { mode: 0o640 });
  writeFileSync(path, '');
  execFileSync('mount', ['--bind', host, path]);
  try {
    await body(path, host);
  } finally {
    execFileSync('umount', ['--lazy', path]);
  }
}

test('a single file that is mounted into a container is written, and stays the file of the host', () =>
  mounted('env', '# why\nA=1\n', async (path, host) => {
    const { ino } = statSync(host);
    await writeVariables(path, { A: '2', B: '3' });
    assert.is(readFileSync(host, 'utf8'), '# why\nA=2\nB=3\n');
    assert.equal([statSync(host).ino, statSync(host).mode & 0o777], [ino, 0o640]);
    assert.equal(readdirSync(root).sort(), ['env', 'env-of-host']);
  }));

test('a log that is a mount is not rotated, which is said once', () =>
  mounted('x.log', 'a'.repeat(200), path => {
    const bounds = { limit: 100, older: 2 };
    assert.match(rotateLarge(path, bounds) ?? '', /x\.log is not rotated: EBUSY/);
    assert.is(rotateLarge(path, bounds), undefined);
    assert.is(readFileSync(path, 'utf8').length, 200);
  }));

test('on a full disk a file is as it was, replaced or overwritten; a log is rotated', () => {
  const disk = join(root, 'disk');
  return withDisk(disk, 64 * BLOCK, async () => {
    const [path, log] = [join(disk, 'env'), join(disk, 'x.log')];
    const before = 'A=1\n'.repeat(1000);
    writeFileSync(path, before);
    writeFileSync(log, 'a'.repeat(200));
    fill(disk);
    for (const way of ['replaced', 'overwritten']) {
      if (way === 'overwritten') linkSync(path, join(disk, 'other'));
      const error = await rewrite(path, `B=2\n${before.repeat(3)}`).catch(thrown => thrown);
      assert.is(error?.code, 'ENOSPC', way);
      assert.is(readFileSync(path, 'utf8'), before, way);
      assert.not.ok(readdirSync(disk).includes('env.partial'));
    }
    assert.is(rotateLarge(log, { limit: 100, older: 2 }), undefined);
    assert.equal([statSync(log).size, statSync(`${log}.1`).size], [0, 200]);
  });
});

test('a log on a disk that can’t be written is left, and said once', () => {
  const disk = join(root, 'read-only');
  return withDisk(disk, 64 * BLOCK, async () => {
    const log = join(disk, 'x.log');
    writeFileSync(log, 'a'.repeat(200));
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    assert.match(rotateLarge(log, { limit: 100, older: 2 }) ?? '', /x\.log is not rotated: EROFS/);
    assert.is(rotateLarge(log, { limit: 100, older: 2 }), undefined);
  });
});

test.run();
