/* config.ts as a process, in a copy of the repository that has an env file of its own. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import type { Listing } from '../../scripts/lib/config/listing.ts';
import { linesOf } from '../../scripts/lib/config/listing.ts';
import { startOnTerminal } from '../support/core/terminal.ts';

const copy = mkdtempSync(join(tmpdir(), 'config-'));
for (const name of ['scripts', 'package.json', 'docker-compose.production.yml'])
  cpSync(join(ROOT, name), join(copy, name), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
test.after(() => rmSync(copy, { recursive: true }));

const SECRET = 'correct-horse-battery';
const FILE = `# Of a server
APP_NAME=shop
POSTGRES_PASSWORD=${SECRET}
BACKUP_RETENTION_DAYS=never
S3_ENDPOINT=https://user:pass-of-url@store.example
export LOG_DIR='/var/log/a directory with a name that is longer than a terminal of eighty columns'
BACKUP_DIR=/srv/one
BACKUP_DIR=/srv/backups

DB_NAME=shop
S3_BUKET=bucket
PORT=3000
`;

function run(args: string[], text: string | undefined, env: Record<string, string> = {}) {
  rmSync(join(copy, '.env.production'), { force: true });
  if (text !== undefined) writeFileSync(join(copy, '.env.production'), text, { mode: 0o600 });
  const options = { env: { PATH: process.env.PATH!, ...env }, encoding: 'utf8', cwd: copy } as const;
  const { status, stdout, stderr } = spawnSync(join(copy, 'scripts/config.ts'), args, options);
  assert.not.match(stdout + stderr, new RegExp(SECRET));
  return { status, stdout, stderr };
}

test('each variable: its value, where that is from, what is wrong; other names with what was meant', () => {
  const { status, stdout } = run(['--json'], FILE, {
    BACKUP_MIN_KEEP: '9',
    POSTGRES_CONTAINER: '',
    S3_PREFIX: '',
  });
  assert.is(status, 2);
  const { variables, unknown, problems, absent } = JSON.parse(stdout) as Listing;
  const of = (name: string) => {
    const { value, source } = variables.find(each => each.name === name)!;
    return [value, source];
  };
  assert.equal(of('APP_NAME'), ['shop', 'line 2']);
  assert.equal(of('POSTGRES_PASSWORD'), [`*** (${SECRET.length} characters)`, 'line 3']);
  assert.equal(of('S3_ENDPOINT'), ['https://***@store.example', 'line 5']);
  assert.equal(of('BACKUP_DIR'), ['/srv/backups', 'line 8']);
  assert.equal(of('BACKUP_MIN_KEEP'), ['9', 'environment']);
  assert.equal(of('POSTGRES_CONTAINER'), ['', 'environment'], 'set, and empty');
  assert.equal(of('S3_PREFIX'), ['database', 'default'], 'an empty value counts as not set');
  assert.equal(of('POSTGRES_DB'), ['shop_production', 'default']);
  assert.equal(of('S3_BUCKET'), [null, 'not set']);
  assert.equal(problems, ['BACKUP_RETENTION_DAYS: whole days, at least 1']);
  assert.is(
    variables.find(({ name }) => name === 'BACKUP_RETENTION_DAYS')!.problem,
    'whole days, at least 1',
  );
  assert.equal(
    unknown.map(({ name, kind, instead, line }) => [name, kind, instead, line]),
    [
      ['DB_NAME', 'retired', 'POSTGRES_DB', 10],
      ['S3_BUKET', 'near', 'S3_BUCKET', 11],
      ['PORT', 'unknown', undefined, 12],
    ],
  );
  assert.ok(
    absent.includes('RTO_OBJECTIVE') && !absent.includes('APP_NAME') && !absent.includes('BACKUP_MIN_KEEP'),
  );
});

test('a good file: exit 0, also with a variable of the application', () => {
  const { status, stdout, stderr } = run([], 'APP_NAME=shop\nPORT=3000\n');
  assert.is(status, 0, stderr);
  assert.match(
    stderr,
    /^warning: for the backends: \.env\.production has 1 variable of the application.*: PORT\n {2}→ /,
  );
  assert.match(stdout, /no value is wrong$/m);
  assert.match(stdout, /^Not set, and the stack does not start without\n {2}.*\bBACKEND_IMAGE\b/m);
  const [, absent] = /^In \.env\.example but not in the file.*\n((?: {2}.*\n)+)/m.exec(stdout)!;
  assert.match(absent!, /\bPOSTGRES_DB\b/);
  assert.not.match(absent!, /\bPOSTGRES_CONTAINER\b/, 'a comment in .env.example');
});

test('no file: named first, with the command that makes it; the defaults are listed', () => {
  const { status, stdout, stderr } = run([], undefined);
  assert.is(status, 2);
  assert.match(
    stderr,
    /^error: there is no \S+\.env\.production, and no variable of it is in the environment\n/,
  );
  assert.match(stdout, /^ {2}APP_NAME +neurmatic +default$/m);
  assert.match(stdout, /these are the defaults$/m);
});

test('one variable: with what it means; an unknown name leads to the nearest one or to its replacement', () => {
  const one = run(['S3_RETENTION_DAYS'], 'APP_NAME=shop\n');
  assert.is(one.status, 0);
  assert.match(
    one.stdout,
    /value +90\n +from +default\n +read by .*\n +meaning +Days that a backup stays in S3\./,
  );
  const near = run(['S3_RETENTION'], 'APP_NAME=shop\n');
  assert.is(near.status, 2);
  assert.match(
    near.stderr,
    /no variable is called "S3_RETENTION"\n {2}→ is S3_RETENTION_DAYS meant\? \.\/scripts\/config\.ts lists/,
  );
  assert.match(
    run(['DB_HOST'], 'APP_NAME=shop\n').stderr,
    /→ set PGHOST, with an empty POSTGRES_CONTAINER\./,
  );
  assert.match(run(['NODE_ENV'], 'APP_NAME=shop\n').stderr, /→ \.\/scripts\/config\.ts lists all\./);
});

test('on a terminal of 80 columns no line is longer', async () => {
  run([], FILE);
  const env = { PATH: process.env.PATH!, NO_COLOR: '1' };
  const { shown, ended } = startOnTerminal(
    { env },
    relative(join(ROOT, 'scripts'), join(copy, 'scripts/config')),
    [],
  );
  assert.is(await ended, 2);
  const long = shown()
    .split('\r\n')
    .filter(line => line.length > 80 && !line.startsWith('file: '));
  assert.equal(long, []);
  assert.match(shown(), /✗ BACKUP_RETENTION_DAYS +never +line 4\r\n {4}wrong: whole days, at least 1/);
  assert.match(shown(), /LOG_DIR +\/var\/log\/a directory.*… {2}line 6/);
});

test('the line of a variable is that of the last one that sets it', () => {
  assert.equal(
    [...linesOf('A=1\r\n#B=2\n export C=3\n\nA = 4\nno variable\n')],
    [
      ['A', 5],
      ['C', 3],
    ],
  );
});

test.run();
