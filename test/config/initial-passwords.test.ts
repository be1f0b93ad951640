/* Which passwords PostgreSQL's container keeps. That Compose does not replace it: test/long/stack/rotate.test.ts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type Config, ENVIRONMENTS, ROOT } from '../../scripts/lib/config/config.ts';
import {
  initialNames,
  initialPasswords,
  withoutInitial,
} from '../../scripts/lib/config/initial-passwords.ts';

const NAMES = ['POSTGRES_PASSWORD', 'APP_DB_PASSWORD', 'BACKUP_DB_PASSWORD'];

test('the present value is kept once, an empty one too, and only for a container', () => {
  const directory = mkdtempSync(join(tmpdir(), 'initial-'));
  const envFile = join(directory, '.env.production');
  try {
    writeFileSync(envFile, "POSTGRES_PASSWORD='a $b'\nAPP_DB_PASSWORD=\nINITIAL_BACKUP_DB_PASSWORD=\n");
    const of = (container?: string) =>
      initialPasswords({ envFile, postgres: { container } } as Config, [...NAMES, 'X']);
    assert.equal(of('postgres'), { INITIAL_POSTGRES_PASSWORD: 'a $b', INITIAL_APP_DB_PASSWORD: '' });
    assert.equal(of(), {});
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('without them, each other byte stays', () => {
  const text =
    "# head\nA=1\nINITIAL_APP_DB_PASSWORD='x\ny'\nB=2\n# INITIAL_POSTGRES_PASSWORD=\nINITIAL_POSTGRES_PASSWORD=\nINITIAL_OTHER=1";
  assert.equal(initialNames(text), ['INITIAL_APP_DB_PASSWORD', 'INITIAL_POSTGRES_PASSWORD']);
  assert.is(withoutInitial(text), '# head\nA=1\nB=2\n# INITIAL_POSTGRES_PASSWORD=\nINITIAL_OTHER=1');
});

for (const environment of ENVIRONMENTS)
  test(`${environment}: PostgreSQL’s container gets them first, the backends and backups never`, () => {
    const text = readFileSync(join(ROOT, `docker-compose.${environment}.yml`), 'utf8');
    const { services } = parse(text, { merge: true });
    for (const name of NAMES)
      assert.match(
        services.postgres.environment[name],
        new RegExp(`^\\$\\{INITIAL_${name}:?-\\$\\{${name}:`),
      );
    delete services.postgres;
    assert.not.match(JSON.stringify(services), /INITIAL_/);
  });

test.run();
