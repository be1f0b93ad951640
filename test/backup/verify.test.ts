import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode } from '../../scripts/lib/backup/verify.ts';
import type { OperationalError } from '../../scripts/lib/core/errors.ts';
import { hasProgram } from '../../scripts/lib/core/shell.ts';

const POSTGRES = { user: 'nobody', database: 'none' };

/** @returns the error of decoding this content as a plain dump */
async function refusal(content: Buffer): Promise<OperationalError | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'artifact-'));
  const path = join(directory, 'dump.sql.gz');
  writeFileSync(path, content);
  try {
    await decode(POSTGRES, path, 'plain');
    return undefined;
  } catch (error) {
    return error as OperationalError;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const WHOLE = gzipSync('SELECT 1;\n-- PostgreSQL database dump complete\n');

test('decode accepts a dump with its last line, and refuses a truncated one, one without that line, and other files', async () => {
  assert.is(await refusal(WHOLE), undefined);
  for (const damaged of [WHOLE.subarray(0, 30), gzipSync('SELECT 1;\n'), Buffer.from('text')])
    assert.is((await refusal(damaged))?.exitCode, 3);
});

test('a missing program is reported as missing, not as damage', async () => {
  const programs = mkdtempSync(join(tmpdir(), 'programs-'));
  const { PATH } = process.env;
  assert.ok(hasProgram('gzip')); // also finds bash before PATH has none
  for (const name of ['bash', 'tail']) symlinkSync(`/usr/bin/${name}`, join(programs, name));
  process.env.PATH = programs;
  try {
    const error = await refusal(WHOLE);
    assert.match(error?.message ?? '', /^could not use gzip on this host: /);
    assert.is(error?.hint, 'install gzip on this host.');
    assert.is(error?.exitCode, 1);
  } finally {
    process.env.PATH = PATH;
    rmSync(programs, { recursive: true });
  }
});

test.run();
