import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { again, type Place, pasteable, word } from '../../scripts/lib/core/command-line.ts';

const here: Place = { root: '/opt/app', cwd: '/opt/app', environment: 'production' };
const staging = { ...here, environment: 'staging' };
const elsewhere = { ...here, cwd: '/root' };

/** Runs it with another DEPLOY_ENV. */
function withDeployEnv<T>(value: string | undefined, body: () => T): T {
  const before = process.env.DEPLOY_ENV;
  const set = (to: string | undefined) => {
    if (to === undefined) delete process.env.DEPLOY_ENV;
    else process.env.DEPLOY_ENV = to;
  };
  set(value);
  try {
    return body();
  } finally {
    set(before);
  }
}

test('a command of ours acts on the environment that printed it', () => {
  const undo = 'run `./scripts/restore.ts --undo`, then ./scripts/health-check.ts.';
  withDeployEnv(undefined, () => {
    assert.is(pasteable(undo, here), undo);
    assert.is(
      pasteable(undo, staging),
      'run `./scripts/restore.ts --env staging --undo`, then ./scripts/health-check.ts --env staging.',
    );
    const two = 'restore.ts --finish drops it, restore.ts --undo swaps it back; list-backups.ts is a name';
    assert.is(
      pasteable(two, staging),
      './scripts/restore.ts --env staging --finish drops it, ./scripts/restore.ts --env staging --undo swaps it back; list-backups.ts is a name',
    );
    const named = './scripts/scale.ts 2, or ./scripts/deploy.ts v1 --env staging --yes';
    assert.is(
      pasteable(named, staging),
      './scripts/scale.ts --env staging 2, or ./scripts/deploy.ts v1 --env staging --yes',
    );
  });
  withDeployEnv('staging', () => {
    assert.is(pasteable('./scripts/backup.ts', here), './scripts/backup.ts --env production');
    assert.is(pasteable('./scripts/backup.ts', staging), './scripts/backup.ts --env staging');
  });
  withDeployEnv('production', () => assert.is(pasteable('./scripts/backup.ts', here), './scripts/backup.ts'));
});

test('a command can be pasted in the directory in which it is printed', () => {
  withDeployEnv(undefined, () => {
    assert.is(pasteable('`./scripts/scale.ts 2`', elsewhere), '`/opt/app/scripts/scale.ts 2`');
    const odd = { ...elsewhere, root: "/srv/it's here" };
    assert.is(pasteable('./scripts/scale.ts 2', odd), "'/srv/it'\\''s here/scripts/scale.ts' 2");
    assert.is(pasteable('/opt/app/scripts/scale.ts 2', elsewhere), '/opt/app/scripts/scale.ts 2');
    const once = pasteable('./scripts/scale.ts 2; `docker compose up -d`', staging);
    assert.is(pasteable(once, staging), once);
  });
});

test('Compose gets the files of the environment, and psql its address', () => {
  assert.is(
    pasteable('`docker compose up -d backup`', staging),
    '`docker compose -f docker-compose.staging.yml --env-file .env.staging up -d backup`',
  );
  assert.is(
    pasteable('docker compose stop backup', elsewhere),
    'docker compose -f /opt/app/docker-compose.production.yml --env-file /opt/app/.env.production stop backup',
  );
  withDeployEnv('production', () => {
    const up = pasteable('try `docker compose up -d backup`', staging);
    assert.match(
      up,
      '`DEPLOY_ENV=staging docker compose -f docker-compose.staging.yml --env-file .env.staging up -d',
    );
    assert.is(pasteable(up, staging), up);
    assert.not.match(pasteable('docker compose stop backup', here), 'DEPLOY_ENV');
  });
  const psql = 'docker exec app-postgres-production psql -U postgres';
  assert.is(pasteable('see `psql -l`', { ...here, psql }), `see \`${psql} -l\``);
  assert.is(pasteable('load it with psql into another', { ...here, psql }), 'load it with psql into another');
});

test('a word is quoted where a shell needs it', () => {
  for (const plain of ['latest', 's3://bucket/a_b.sql.gz', 'a@sha256:1', '--env=x'])
    assert.is(word(plain), plain);
  for (const [odd, quoted] of [
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['~', "'~'"],
    ['=x', "'=x'"],
    ['$(rm)', "'$(rm)'"],
  ])
    assert.is(word(odd!), quoted);
});

test('the same command with other options', () => {
  const { argv } = process;
  try {
    process.argv = ['node', '/x/restore.ts', 'it is', '--table', 'a.b', '--table=c.d', '--env', 'staging'];
    assert.is(
      again('restore.ts', ['latest'], ['--database', 'copy'], '--table'),
      "./scripts/restore.ts 'it is' --env staging --database copy",
    );
    assert.is(again('verify-backup.ts', ['latest'], ['--load']), './scripts/verify-backup.ts latest --load');
  } finally {
    process.argv = argv;
  }
});

test.run();
