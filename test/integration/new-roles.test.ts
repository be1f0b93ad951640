/** The roles of a new server, as the stack makes them before it takes connections: postgres/make-roles.sh. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { isDone, readRoleChanges } from '../../scripts/lib/postgres/role-changes.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { ask } from '../support/postgres/ask.ts';
import { propertiesOf } from '../support/postgres/compare.ts';
import { APP, as, BACKUP, ENV, refusals } from '../support/postgres/roles.ts';

const { inTurn, stop } = await createTurns();

/** Runs the script as the image's entrypoint does, with a psql that notes its arguments. */
function makeRoles(world: World, env: Record<string, string> = {}) {
  const programs = join(world.directory, 'programs');
  const args = join(world.directory, 'arguments');
  const psql = spawnSync('which', ['psql'], { env: world.env, encoding: 'utf8' }).stdout.trim();
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, 'psql'), `#!/bin/sh\necho "$@" >>'${args}'\nexec '${psql}' "$@"\n`);
  chmodSync(join(programs, 'psql'), 0o755);
  writeFileSync(args, '');
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'postgres/make-roles.sh'), {
    env: {
      ...world.env,
      PGPASSWORD: world.env.POSTGRES_PASSWORD!, // in the container the socket needs none
      PATH: `${programs}:${world.env.PATH}`,
      ...ENV,
      ...env,
    },
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr, args: readFileSync(args, 'utf8') };
}

test('both roles have the rights that database-roles gives; no log, statement or argument has a password', () =>
  inTurn(async world => {
    const settings = ['log_statement = ddl', 'log_min_duration_statement = 0', `log_line_prefix = '%a '`];
    for (const setting of settings) await world.sql(`ALTER SYSTEM SET ${setting}`, 'postgres');
    await world.sql('SELECT pg_reload_conf()', 'postgres');
    const { status, said, args } = makeRoles(world);
    assert.is(status, 0, said);
    await as(world, APP, 'CREATE TABLE members (id int); CREATE EXTENSION pg_trgm; CREATE SCHEMA jobs');
    await as(world, BACKUP, 'TABLE members');
    await refusals(world, BACKUP, [
      ['INSERT INTO members VALUES (1)', /permission denied/],
      ['CREATE TEMPORARY TABLE t ()', /permission denied/],
    ]);
    const config = configOf(world, ENV);
    const changes = await readRoleChanges(config.postgres, 'app', config.roles);
    assert.ok(isDone(changes), JSON.stringify(changes));

    const log = readFileSync(join(world.pg.directory!, 'server.log'), 'utf8');
    assert.match(log, /CREATE ROLE "?test_app"?/, 'the log has the statements');
    assert.match(log, /PASSWORD 'SCRAM-SHA-256\$4096:/);
    assert.match(args, /\\password test_app/);
    for (const secret of [ENV.APP_DB_PASSWORD!, ENV.BACKUP_DB_PASSWORD!])
      assert.not.match(log + said + args, secret);

    const { password, ...postgres } = world.pg.postgres;
    await world.sql(`CREATE ROLE hers LOGIN PASSWORD '${password}'`);
    const refused = await ask({ ...postgres, password, user: 'hers' }, 'app', 'SELECT 1').catch(String);
    assert.match(refused, /permission denied for database/, 'PUBLIC may not connect');
    assert.is(((await propertiesOf(world)) as { owner: string }).owner, 'postgres');
  }));

test('without passwords nobody logs in; names that PostgreSQL or a URL would read otherwise are refused', () =>
  inTurn(async world => {
    for (const [env, message] of [
      [{ APP_DB_USER: 'postgres' }, /postgres can't be the name/],
      [{ APP_DB_USER: 'pg_app' }, /pg_app can't be the name/],
      [{ APP_DB_USER: `a"; DROP ROLE x` }, /can't be the name/],
      [{ BACKUP_DB_USER: '1st' }, /1st can't be the name/],
      [{ APP_DB_USER: 'same', BACKUP_DB_USER: 'same' }, /are the same/],
    ] as [Record<string, string>, RegExp][]) {
      const { status, said } = makeRoles(world, env);
      assert.is(status, 1, said);
      assert.match(said, message);
    }
    const { status, said } = makeRoles(world, {
      APP_NAME: '2nd-app',
      APP_DB_PASSWORD: '',
      BACKUP_DB_PASSWORD: '',
    });
    assert.is(status, 0, said);
    assert.match(said, /app_2nd_app has no password/);
    assert.equal(
      await world.rows(
        `SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN ('app_2nd_app', 'backup') ORDER BY 1`,
      ),
      [
        { rolname: 'app_2nd_app', rolpassword: null },
        { rolname: 'backup', rolpassword: null },
      ],
    );
    assert.is(configOf(world, { APP_NAME: '2nd-app' }).roles.app.name, 'app_2nd_app');
  }));

test.after(stop);
test.run();
