/* What a container that migrates is given, as a shell reads it from standard input. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { exportsOf, migrationEnvironment } from '../../scripts/lib/migrations/environment.ts';
import { migrationUrl } from '../../scripts/lib/migrations/session.ts';
import { captured } from '../support/core/here.ts';

const OPEN = { POSTGRES_CONTAINER: undefined, DATABASE_URL_OPTIONS: undefined };

test('a shell reads each value as it is; a name that it does not take is left out', () => {
  const values = {
    QUOTES: `it's "a" \`b\` $HOME \\ $(id) 'x'`,
    LINES: '-----BEGIN KEY-----\nab\\nc\n\n-----END KEY-----\n',
    BLANK: '  # x; exit 3 ',
    EMPTY: '',
    UNICODE: 'ä€😀',
    'NOT.A.NAME': '1',
    '9': '1',
  };
  for (const shell of ['sh', 'bash']) {
    const script = 'eval "$(cat)"; exec env -0 </dev/null';
    const { stdout, status } = spawnSync(shell, ['-c', script], {
      input: exportsOf(values),
      env: { PATH: process.env.PATH },
    });
    assert.is(status, 0, shell);
    const given = Object.fromEntries(
      stdout
        .toString()
        .split('\0')
        .filter(Boolean)
        .map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
    const { 'NOT.A.NAME': _, '9': __, ...expected } = values;
    for (const [name, value] of Object.entries(expected)) assert.is(given[name], value, `${shell}: ${name}`);
    assert.not('NOT.A.NAME' in given);
  }
});

test('it has the application’s variables, and those of Compose over them; without the file it is warned, not failed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'app-'));
  const appFile = join(directory, 'app');
  const config = { ...loadConfig('production', { ...OPEN, REDIS_URL: 'redis://:x@redis' }), appFile };
  const given = {
    NODE_ENV: 'production',
    PORT: '3000',
    INSTANCE_ID: 'migrate',
    REDIS_URL: 'redis://:x@redis',
  };
  writeFileSync(appFile, "JWT_SECRET='a b'\nDATABASE_URL=other\nPORT=1\n");
  assert.equal(migrationEnvironment(config, 'url'), { JWT_SECRET: 'a b', ...given, DATABASE_URL: 'url' });
  rmSync(appFile);
  assert.equal(migrationEnvironment(config, 'url'), { ...given, DATABASE_URL: 'url' });
  const unreadable = { ...config, appFile: directory };
  const { stderr, value } = await captured(async () => migrationEnvironment(unreadable, 'url'));
  assert.equal(value, { ...given, DATABASE_URL: 'url' });
  assert.match(stderr, /the migrations run without the application’s variables/);
  rmSync(directory, { recursive: true });
});

test('a migration’s URL has the options of the application’s, such as a schema, but not its pool', () => {
  const options = 'schema=shop&connection_limit=5&sslmode=prefer&application_name=x&options=-c%20a';
  const url = new URL(
    migrationUrl(loadConfig('production', { ...OPEN, DATABASE_URL_OPTIONS: options }), 'd'),
  );
  const { options: own, ...rest } = Object.fromEntries(url.searchParams);
  assert.equal(rest, { schema: 'shop', sslmode: 'prefer', application_name: 'stack-migrate' });
  assert.match(own!, /lock_timeout=5s/);
});

test.run();
