import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backup } from '../../scripts/backup.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { runHere } from '../support/cli/commands.ts';
import { refused } from '../support/core/in-process.ts';
import { createCronWorld } from '../support/schedule/cron-world.ts';

const { world, copy, sh, assertBacksUp, assertOutlives, assertJson } = await createCronWorld();
const ESCAPE = '\u001b';

test('env -i and from /, with .env.production alone, through a symlink to a relative one to an absolute one', async () => {
  const directory = join(world.directory, 'links');
  mkdirSync(directory);
  symlinkSync(join(copy, 'scripts/backup.ts'), join(world.directory, 'absolute'));
  symlinkSync('../absolute', join(directory, 'relative'));
  symlinkSync('relative', join(directory, 'of a link'));
  const { code, stdout, stderr } = await sh(`env -i PATH=/usr/bin:/bin '${directory}/of a link' --no-upload`);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^backup neurmatic_production_\d+_\d+: .* 100 rows/);
  assert.not.ok((stderr + stdout).includes(ESCAPE));
});

test('no terminal and no --yes: exit 2, the flag is named, nothing is changed', async () => {
  const { code, stdout, stderr } = await sh(`'${copy}/scripts/restore.ts' latest --json`);
  assert.is(code, 2, stderr);
  assert.match(stderr, /there is no terminal to confirm this on\n {2}→ add --yes/);
  assert.not.match(stderr, /things change/);
  assert.is(JSON.parse(stdout).error.exitCode, 2);
});

// Each of them closed by itself: test/long/integration/cron.test.ts.
test('stdin, stdout and stderr closed', () => assertBacksUp('<&- >&- 2>&-'));

// Of stdout alone: test/long/integration/cron.test.ts.
test('a reader of stdout and stderr that leaves does not end a backup', () => assertOutlives('2>&1 | true'));

// Of the other scripts: test/long/integration/cron.test.ts.
test('--json leaves stdout pure JSON', () => assertJson('list-backups.ts --json', 0));

test('variables of zx, libpq, the locale and the terminal in the environment change nothing', async () => {
  const { code, stdout, stderr } = await sh(`'${copy}/scripts/backup.ts' --json`, {
    ZX_VERBOSE: 'true',
    ZX_PREFIX: 'exit 9;',
    ZX_SHELL: '/bin/false',
    ZX_POSTFIX: '; exit 9',
    ZX_QUIET: 'false',
    ZX_NOTHROW: 'false',
    ZX_TIMEOUT: '1ms',
    ZX_DETACHED: 'false',
    ZX_INPUT: 'text',
    ZX_CWD: '/nowhere',
    ZX_DELIMITER: 'x',
    ZX_PREFER_LOCAL: 'true',
    PGDATABASE: 'nowhere',
    PGOPTIONS: '-c statement_timeout=1',
    PGCLIENTENCODING: 'LATIN1',
    PGSERVICE: 'nowhere',
    PGHOSTADDR: '127.0.0.2',
    PGAPPNAME: 'x',
    LC_ALL: 'de_DE.UTF-8',
    TZ: 'Asia/Kolkata',
    TERM: 'xterm-256color',
  });
  assert.is(code, 0, stderr);
  assert.is(JSON.parse(stdout).offsite, 'done');
  assert.not.ok((stderr + stdout).includes(ESCAPE));
  assert.not.match(stderr + stdout, /\r/);
});

// Each script's, without a process: test/cli.test.ts.
test('an unknown flag or format: exit 2, and nothing is read or written', async () => {
  const { code, stdout, stderr } = await sh(`'${copy}/scripts/backup.ts' --no-such-flag --json`);
  assert.is(code, 2, stderr);
  assert.match(stderr, /Unknown option '--no-such-flag'\n {2}→ /);
  assert.is(JSON.parse(stdout).error.exitCode, 2);
  const config = configOf(world, {});
  await refused(() => runHere(backup, ['--format', 'tar'], config), 2, /unknown format "tar"/);
});

test('bad configuration: every bad name at once, and no value', async () => {
  const bad = {
    PGPORT: 'sentinel-port',
    BACKUP_FORMAT: 'sentinel-format',
    BACKUP_RETENTION_DAYS: 'sentinel-0',
    BACKUP_MIN_KEEP: '0',
    S3_ENDPOINT: 'sentinel://x',
    S3_BUCKET: 'Sentinel_Bucket',
    SLACK_WEBHOOK_URL: 'sentinel-slack',
    RTO_OBJECTIVE: 'sentinel-hours',
    APP_NAME: 'Sentinel App',
  };
  const { code, stdout, stderr } = await sh(`'${copy}/scripts/backup.ts' --json`, bad);
  assert.is(code, 2, stderr);
  for (const name of Object.keys(bad)) assert.match(stderr, `\n  ${name}: `);
  assert.not.match(stderr + stdout, /sentinel/i);
  assert.match(stderr, /has 9 bad value/);
});

test('a line of the env file that Compose reads differently is a wrong value, named without it', async () => {
  const file = join(copy, '.env.production');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}OWN_KEY=sentinel#1\nPORT=\n`);
  try {
    const { code, stdout, stderr } = await sh(`'${copy}/scripts/list-backups.ts' --json`);
    assert.is(code, 2, stderr);
    assert.match(stderr, /has 1 bad value\(s\):\n {2}OWN_KEY: Compose would read another value \(line \d+\)/);
    assert.not.match(stderr + stdout, /sentinel/);
  } finally {
    writeFileSync(file, before);
  }
});

test('precedence: flag, then process environment, then .env.<environment>', async () => {
  const file = join(copy, '.env.production');
  const before = readFileSync(file, 'utf8');
  // The copy's own module, which reads the file beside it.
  const { loadConfig }: typeof import('../../scripts/lib/config/config.ts') = await import(
    join(copy, 'scripts/lib/config/config.ts')
  );
  const format = (env: Record<string, string> = {}) => loadConfig('production', env).format;
  assert.is(format(), 'plain');
  writeFileSync(file, `${before}BACKUP_FORMAT=custom\n`);
  try {
    assert.is(format(), 'custom');
    assert.is(format({ BACKUP_FORMAT: 'plain' }), 'plain');
    // DEPLOY_ENV picks the file, --env comes before it; staging has none here.
    const { code, stdout, stderr } = await sh(
      `'${copy}/scripts/backup.ts' --dry-run --json --env production --format custom`,
      { BACKUP_FORMAT: 'plain', DEPLOY_ENV: 'staging' },
    );
    assert.is(code, 0, stderr);
    assert.match(JSON.parse(stdout).commands[0].join(' '), / --format=custom /);
  } finally {
    writeFileSync(file, before);
  }
  const none = await sh(`'${copy}/scripts/backup.ts'`, { DEPLOY_ENV: 'staging' });
  assert.is(none.code, 2, none.stderr);
  assert.match(
    none.stderr,
    /there is no .*\/\.env\.staging, .*\n.*; or add --env production, whose file exists/,
  );
});

test('the servers stop', world.stop);

test.run();
