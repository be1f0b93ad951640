import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quote } from 'zx/core';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { startProgram } from '../support/core/world.ts';

test('memory runs low', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'memory-'));
  const meminfo = join(directory, 'meminfo');
  const check = join(ROOT, 'scripts/lib/health/checks/memory.ts');
  const cases = [
    [2_500_000, 'ok'],
    [1_900_000, 'warning'],
    [900_000, 'critical'],
  ] as const;
  writeFileSync(meminfo, '');
  const program = `const { memory } = await import('${check}');
    for (const available of process.argv.slice(1)) {
      fs.writeFileSync('/proc/meminfo', 'MemTotal: 10000000 kB\\nMemAvailable: ' + available + ' kB\\n');
      console.log(JSON.stringify(await memory().run()));
    }`;
  const command = `mount --bind ${quote(meminfo)} /proc/meminfo; exec "$@"`;
  const node = [process.execPath, '-e', program, ...cases.map(([available]) => String(available))];
  const { ended } = startProgram(
    'unshare',
    ['--mount', 'bash', '-c', command, 'bash', ...node],
    process.env as Record<string, string>,
  );
  const { code, stdout, stderr } = await ended;
  assert.is(code, 0, stderr);
  const findings = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.equal(
    findings.map(({ status }) => status),
    cases.map(([, status]) => status),
  );
  for (const { message } of findings) assert.match(message, /^\d+ % available: .* [GM]iB of 9\.54 GiB$/);
  rmSync(directory, { recursive: true });
});

test.run();
