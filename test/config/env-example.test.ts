/* .env.example is generated from the table of variables, and a copy of it is a valid configuration. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { envExample } from '../../scripts/lib/config/env-example.ts';
import type { Group } from '../../scripts/lib/config/types.ts';
import { GROUPS } from '../../scripts/lib/config/variables.ts';

const text = readFileSync(join(ROOT, '.env.example'), 'utf8');
const variables = Object.values<Group>(GROUPS).flatMap(group => Object.entries(group));

test('.env.example is up to date: npx node scripts/lib/config/env-example.ts > .env.example', () => {
  assert.is(text, envExample());
});

test('every default is a valid value', () => {
  for (const [name, { type, default: standard }] of variables)
    if (type && standard !== undefined) assert.is(v.safeParse(type, standard).issues, undefined, name);
});

test('a copy of it is a valid configuration, the same as none at all', () => {
  const nothing = { POSTGRES_CONTAINER: undefined };
  assert.equal(loadConfig('production', { ...parse(text), ...nothing }), loadConfig('production', nothing));
});

test('each variable of the Compose files is explained', () => {
  const known = new Set(variables.map(([name]) => name));
  for (const file of ['docker-compose.production.yml', 'docker-compose.staging.yml']) {
    const used = readFileSync(join(ROOT, file), 'utf8').matchAll(/(?<!\$)\$\{([A-Z0-9_]+)/g);
    assert.equal(
      [...used].map(([, name]) => name!).filter(name => !known.has(name)),
      [],
      file,
    );
  }
});

test('the application does not get the keys that sign backups, and is not replaced when the first one is made', () => {
  for (const file of ['docker-compose.production.yml', 'docker-compose.staging.yml']) {
    const compose = readFileSync(join(ROOT, file), 'utf8');
    const [, block] = /environment: &backend-environment\n((?: {4}.*\n)*)/.exec(compose)!;
    for (const name of ['BACKUP_SIGNING_KEY', 'BACKUP_SIGNING_KEY_PREVIOUS'])
      assert.ok(block!.includes(`    ${name}: ""\n`), `${file}: ${name}`);
  }
});

test.run();
