import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hideSecrets, log, logTo } from '../../scripts/lib/core/log.ts';
import { captured } from '../support/core/here.ts';

test('a secret is hidden in each message, on stderr and in the log file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const file = join(directory, 'logs/test.log');
  hideSecrets(['p@ss w"rd']);
  logTo(file);
  const levels = [log.info, log.done, log.warn, log.error];
  const { stderr } = await captured(async () => {
    for (const level of levels) level('url p%40ss%20w%22rd, json {"key":"p@ss w\\"rd"}, text p@ss w"rd');
  });
  const hidden = 'url ***, json {"key":"***"}, text ***';
  for (const shown of [stderr, readFileSync(file, 'utf8')])
    assert.equal(
      shown.split('\n').map(line => line.slice(-hidden.length)),
      [...levels.map(() => hidden), ''],
    );
  rmSync(directory, { recursive: true });
});

test('a secret is hidden in the line that shows progress on a terminal', async () => {
  const { isTTY } = process.stderr;
  process.stderr.isTTY = true;
  try {
    hideSecrets(['p@ss w"rd']);
    const { stderr } = await captured(async () => log.status('Dumping p@ss w"rd'));
    assert.ok(stderr.endsWith('Dumping ***'), stderr);
  } finally {
    process.stderr.isTTY = isTTY;
  }
});

test.run();
