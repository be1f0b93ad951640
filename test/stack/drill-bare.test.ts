/* The README's first command where there is no PostgreSQL server: Docker's image is used. Where apt-get installs one, on
   a bare Debian: test/long/stack/drill-bare.test.ts. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { ensureEngine } from '../engine/engine.ts';
import { ensureImages } from '../images/images.ts';
import { Sandbox } from '../images/sandbox.ts';
import { programsBut } from '../support/core/programs.ts';
import { startProgram } from '../support/core/world.ts';

test('no server’s programs and no apt-get: the drill uses Docker’s image and leaves no container', async () => {
  const engine = await ensureEngine();
  await ensureImages(engine, ['postgres:15-bookworm']);
  const programs = mkdtempSync(join(tmpdir(), 'programs-'));
  try {
    programsBut(programs, engine.env.PATH!, /^(apt-get|initdb|postgres)$/);
    const env = { ...(engine.env as Record<string, string>), PATH: programs };
    // A mount namespace in which Debian's directory of PostgreSQL servers is empty.
    const hide =
      'mount -t tmpfs none /usr/lib/postgresql 2>/dev/null || [ ! -e /usr/lib/postgresql ]; exec "$0" --embedded --json';
    const argv = ['--mount', 'bash', '-c', hide, join(ROOT, 'scripts/drill.ts')];
    const { code, stdout, stderr } = await startProgram('unshare', argv, env).ended;
    assert.is(code, 0, stderr);
    assert.match(stderr, /using Docker’s postgres:15-bookworm/);
    assert.equal(JSON.parse(stdout).missed, []);
    const left = await new Sandbox(engine).docker(
      'ps',
      '--all',
      '--quiet',
      '--filter',
      'name=throwaway-postgres',
    );
    assert.is(left, '');
  } finally {
    await rm(programs, { recursive: true, force: true });
  }
});

test.run();
