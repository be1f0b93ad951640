import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { stamp } from '../../scripts/lib/core/format.ts';
import type { DrillReport } from '../../scripts/lib/drill/report.ts';
import { writeReport } from '../../scripts/lib/drill/write-report.ts';

const report: DrillReport = {
  time: '2026-01-31T02:00:00.000Z',
  environment: 'production',
  backup: 'neurmatic_production_20260131_010000',
  format: 'custom',
  artifactBytes: 1,
  databaseBytes: 1,
  tables: 1,
  rows: 1,
  seconds: {},
  rto: 1,
  rtoObjective: 2,
  rpo: 1,
  rpoObjective: 2,
  notProven: null,
};

test('the newest reports are kept, and a table that goes on has its header', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'drills-'));
  try {
    const drills = join(stateDir, 'drills');
    mkdirSync(drills);
    const names = Array.from({ length: 1001 }, (_, day) => `${stamp(new Date(Date.UTC(2020, 0, day)))}.json`);
    for (const name of [...names, 'notes.json']) writeFileSync(join(drills, name), '{}');
    const table = join(drills, 'report.md');
    writeFileSync(table, 'x'.repeat(1e6));
    const path = await writeReport(loadConfig('production', { STATE_DIR: stateDir }), report);
    assert.equal(readdirSync(drills).sort(), [
      ...names.slice(2),
      path.slice(drills.length + 1),
      'notes.json',
      'report.md',
      'report.md.1',
    ]);
    assert.match(readFileSync(table, 'utf8'), /^\| Drill .*\n\|---.*\n\| 2026-01-31 .*\| met \|\n$/);
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});

test.run();
