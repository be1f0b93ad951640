import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { startProgram } from '../support/core/world.ts';

test('without the development dependencies the embedded drill says what is missing and what to do', async () => {
  const copy = mkdtempSync(join(tmpdir(), 'no-s3rver-'));
  try {
    for (const name of ['scripts', 'package.json'])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    mkdirSync(join(copy, 'node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules')))
      if (name !== 's3rver') symlinkSync(join(ROOT, 'node_modules', name), join(copy, 'node_modules', name));
    const drill = startProgram(join(copy, 'scripts/drill.ts'), ['--embedded', '--json'], {
      PATH: process.env.PATH!,
      TMPDIR: copy,
    });
    const { code, stdout, stderr } = await drill.ended;
    assert.is(code, 1, stderr);
    assert.match(stderr, /s3rver is not installed/);
    assert.match(stderr, /→ in a clone of this repository: npm ci --include=dev && npm run drill\n/);
    assert.not.match(stderr, /this is a bug/);
    assert.match(JSON.parse(stdout).error.message, /s3rver/);
    assert.equal(
      readdirSync(copy).filter(name => name.includes('throwaway')),
      [],
    );
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test('npm ci installs what the drill needs with NODE_ENV=production, too; --omit=dev still leaves it out', () => {
  const omitted = (...flags: string[]) =>
    execFileSync('npm', ['config', 'get', 'omit', ...flags], {
      cwd: ROOT,
      env: { ...process.env, NODE_ENV: 'production' },
      encoding: 'utf8',
    }).trim();
  assert.not.match(omitted(), /dev/);
  assert.match(omitted('--omit=dev'), /dev/);
});

test.run();
