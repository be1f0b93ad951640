/* The embedded drill runs the real scripts on a machine that may be a real server: nothing of that may take part. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { directories } from '../../scripts/lib/config/operation-variables.ts';
import { VARIABLES } from '../../scripts/lib/config/variables.ts';
import { embeddedEnvironment } from '../../scripts/lib/drill/embedded.ts';

test('all directories are its own, that of hooks as well, and no other variable of the server counts', () => {
  const env = embeddedEnvironment('/tmp/drill-1', { PGPORT: '1' });
  const own = [...Object.entries(directories), ['BACKUP_DIR', { type: directories.LOG_DIR.type }] as const]
    .filter(([, { type }]) => type === directories.LOG_DIR.type)
    .map(([name]) => name);
  assert.ok(own.includes('HOOKS_DIR') && own.includes('STATE_DIR'));
  for (const name of own) assert.match(env[name]!, /^\/tmp\/drill-1\//, name);
  const set = VARIABLES.filter(name => env[name] !== '').sort();
  assert.equal(set, [...own, 'BACKUP_SIGNING_KEY', 'PGPORT', 'POSTGRES_DB'].sort());
});

test.run();
