import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { killedAnywhere } from '../../support/core/rewritten.ts';

const LARGE = 'A=1\r\n'.repeat(5_000);

for (const [before, after] of [
  ['', 'A=1\n'],
  ['A=1\r\n# why\nB=2', 'A=1\r\n# why\nB=3\nC=4'],
  ['A=1\r\n# why\nB=2', 'A=1\n'],
  ['A=1\n', ''],
  ['A=1\n', 'A=2\n'],
  ['A=1', 'A=1\nB=2\n'],
  ['A=1\nB=2\n', 'A=1'],
  [LARGE, `${LARGE}B=2`],
  [LARGE, 'A=1\n'],
] as const)
  for (const way of ['replaced', 'overwritten'])
    test(`a kill at any step: ${before.length} bytes ${way} by ${after.length}`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'operator-file-'));
      try {
        const path = join(directory, 'env');
        writeFileSync(path, before);
        if (way === 'overwritten') linkSync(path, join(directory, 'other'));
        await killedAnywhere(path, before, after);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });

test.run();
