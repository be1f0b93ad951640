import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { knowsRestrict } from '../scripts/lib/restore/version-check.ts';

test('which versions know \\restrict', () => {
  for (const version of ['13.22', '14.19', '15.14', '15.20', '16.10', '17.6', '18.0', '18', '19.1'])
    assert.is(knowsRestrict(version), true, version);
  for (const version of ['12.22', '13.21', '14.18', '15.13', '15.9', '16.9', '17.5', '17.0'])
    assert.is(knowsRestrict(version), false, version);
});

test.run();
