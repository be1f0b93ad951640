/* .env.example is generated from the table of variables, and a copy of it is a valid configuration. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'dotenv';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { parse as parseYaml } from 'yaml';
import { SET_BY_COMPOSE } from '../../scripts/lib/config/application.ts';
import { loadConfig, ROOT } from '../../scripts/lib/config/config.ts';
import { envExample } from '../../scripts/lib/config/env-example.ts';
import { valuesOf } from '../../scripts/lib/config/env-file.ts';
import { unclearLines } from '../../scripts/lib/config/env-lines.ts';
import type { Group } from '../../scripts/lib/config/types.ts';
import { GROUPS, isKnown } from '../../scripts/lib/config/variables.ts';

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

test('.env.app.example is tracked and clear, and has nothing of the stack’s own', () => {
  const example = readFileSync(join(ROOT, '.env.app.example'), 'utf8');
  assert.equal(unclearLines(example), []);
  const names = Object.keys(valuesOf(example.replaceAll(/^# (?=[A-Z_]+=)/gm, '')));
  assert.equal(names.slice(0, 3), ['JWT_SECRET', 'JWT_SECRET_PREVIOUS', 'CORS_ORIGIN']);
  const known = names.filter(name => isKnown(name));
  assert.equal(known, ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'], 'keys of its own');
});

/** Names that the backup service has whatever the env file says. */
const FIXED =
  'BACKUP_DIR DEPLOY_ENV HOOKS_DIR LOG_DIR PGHOST PGPORT PGUSER POSTGRES_CONTAINER POSTGRES_PASSWORD SCHEDULE_CERTIFICATES SCHEDULE_HEALTH_CHECK SCHEDULE_WEEKLY STATE_DIR'.split(
    ' ',
  );
/** Who of `readBy` runs in the backup service. */
const IN_SERVICE = /\b(all scripts|backup|backup service|drill|prune-backups|schedule|verify-backup)\b/;

for (const environment of ['production', 'staging']) {
  const { services } = parseYaml(readFileSync(join(ROOT, `docker-compose.${environment}.yml`), 'utf8'), {
    merge: true,
  });

  test(`${environment}: the backup service gets what its scripts read, and nothing else`, () => {
    const { environment: given, env_file } = services.backup;
    const needed = variables
      .filter(([, { readBy }]) => IN_SERVICE.test(readBy.replaceAll('the lines that schedule installs', '')))
      .map(([name]) => name)
      .filter(name => !FIXED.includes(name));
    assert.equal(Object.keys(given).sort(), [...needed, ...FIXED].sort());
    assert.equal(
      Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [name])),
      FIXED,
    );
    assert.is(env_file, undefined);
  });

  test(`${environment}: the backends get the application’s file, and by name what the scripts know of`, () => {
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const { environment: given, env_file } = services[`backend-${number}`];
      assert.is(env_file, `.env.${environment}.app`);
      assert.equal(Object.keys(given).sort(), Object.keys(SET_BY_COMPOSE).sort());
      for (const [name, value] of Object.entries(SET_BY_COMPOSE))
        if (value !== undefined) assert.is(given[name], value);
    }
    const others = Object.entries<{ env_file?: string }>(services).filter(
      ([name]) => !/^backend-/.test(name),
    );
    for (const [name, { env_file }] of others) assert.is(env_file, undefined, name);
  });
}

test.run();
