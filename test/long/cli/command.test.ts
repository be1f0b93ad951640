import { globSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { assertReportsBad } from '../../support/cli/as-cron.ts';

const names = globSync('*.ts', { cwd: `${ROOT}/scripts` }).filter(name => name !== 'config.ts');
assert.ok(names.length >= 12, 'the scripts are found');

for (const name of names)
  test(`${name}: a bad configuration is reported completely, without a value, and with --json as JSON too`, () =>
    assertReportsBad(name));

test.run();
