/* The README's first command on a bare system, where the server's programs are installed first. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { ensureEngine } from '../../engine/engine.ts';
import { ensureBase } from '../../images/base.ts';
import { Sandbox } from '../../images/sandbox.ts';

test('a bare Debian, as root: the drill installs the server’s programs, starts no service, and passes', async () => {
  const engine = await ensureEngine();
  const box = new Sandbox(engine);
  try {
    const base = await ensureBase(engine, 'bookworm');
    const script = [
      '/repository/scripts/drill.ts --embedded --json',
      'ls /usr/lib/postgresql/15/bin/initdb',
      'echo "clusters: $(pg_lsclusters --no-header)"',
      'echo "left: $(ls /tmp)"',
    ].join(' && ');
    const mount = ['--volume', `${ROOT}:/repository:ro`, '--network', 'host'];
    const { code, stdout, stderr } = await box.once(...mount, base, 'bash', '-c', script);
    assert.is(code, 0, stderr);
    assert.match(stderr, /installing one with apt-get/);
    assert.match(stderr, /every table is back/);
    assert.match(stdout, /"missed": \[\]/);
    assert.match(stdout, /^clusters: $/m, stdout);
    assert.match(stdout, /^left: $/m, stdout);
  } finally {
    await box.close();
  }
});

test.run();
