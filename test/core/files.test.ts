import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PARTIAL, privateDirectory } from '../../scripts/lib/core/files.ts';

const isOurs = () => true;

test('a directory is made for its owner only, and the check leaves no file, nor one of a killed run', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'files-'));
  const directory = join(parent, 'a/b');
  try {
    await privateDirectory(directory, 'BACKUP_DIR', isOurs);
    assert.is(statSync(directory).mode & 0o777, 0o700);
    assert.equal(readdirSync(directory), []);
    writeFileSync(join(directory, `.probe${PARTIAL}`), '', { mode: 0o400 });
    await Promise.all([
      privateDirectory(directory, 'BACKUP_DIR', isOurs),
      privateDirectory(directory, 'BACKUP_DIR', isOurs),
    ]);
    assert.equal(readdirSync(directory), []);
  } finally {
    rmSync(parent, { recursive: true });
  }
});

test('a directory that can’t be written is named, with what to do', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'files-'));
  writeFileSync(join(parent, 'file'), '');
  try {
    await privateDirectory(join(parent, 'file'), 'BACKUP_DIR', isOurs);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /^BACKUP_DIR \(.*\/file\) can't be written: /);
  } finally {
    rmSync(parent, { recursive: true });
  }
});

test.run();
