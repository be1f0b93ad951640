import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lastCheck, readChecks, recordCheck } from '../../scripts/lib/backup/check-log.ts';
import { lastLoaded } from '../../scripts/lib/backup/load-due.ts';
import { loadConfig } from '../../scripts/lib/config/config.ts';

test('a check is found after the file is rotated, and the file before is read first', () => {
  const directory = mkdtempSync(join(tmpdir(), 'check-log-'));
  try {
    const config = loadConfig('production', { STATE_DIR: directory });
    const path = join(directory, 'backup-checks.jsonl');
    recordCheck(config, { id: 'old', place: 'local', check: 'loaded' });
    const { length } = readFileSync(path);
    const line = `${JSON.stringify({ id: 'other', place: 's3', check: 'read', at: '2026-01-31T02:00:00.000Z' })}\n`;
    appendFileSync(path, line.repeat(Math.ceil((1e6 - length) / line.length)));
    recordCheck(config, { id: 'new', place: 'local', check: 'read' });
    assert.is(readFileSync(path, 'utf8').trim().split('\n').length, 1);
    assert.ok(statSync(`${path}.1`).size >= 1e6);
    const checks = readChecks(config);
    assert.is(checks.at(-1)!.id, 'new');
    assert.is(lastLoaded(checks)?.id, 'old');
    assert.ok(lastCheck(checks, 'old', 'read'));
    rmSync(path); // a run was killed in between
    assert.is(lastLoaded(readChecks(config))?.id, 'old');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
