/** A run that only looks changes nothing: no mode, no file, no directory, no object, not even the time of a change. */
import { chmodSync, existsSync, globSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeBackup, refused } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import type { World } from '../support/core/world.ts';
import { keys } from '../support/s3/store.ts';

const { inTurn, stop } = await createTurns();

/** When each backup was read: the one thing that verify-backup.ts writes. */
const RECORD = 'state/backup-checks.jsonl';

/** Names, modes and sizes of all that a script could write, and the objects. */
function seen(world: World) {
  const files = globSync('**', { cwd: world.directory, exclude: [RECORD] }).sort();
  const hidden = globSync('{backups,logs,state}/.*', { cwd: world.directory }).sort();
  const described = [...files, ...hidden].map(name => {
    const { mode, size } = statSync(join(world.directory, name));
    return `${name} ${mode.toString(8)} ${mode & 0o40000 ? '' : size}`;
  });
  return { files: described, objects: keys(world) };
}

const LOOKS: [string, ...string[]][] = [
  ['backup', '--dry-run'],
  ['backup', '--dry-run', '--format', 'custom', '--json'],
  ['restore', 'latest', '--dry-run'],
  ['restore', 'latest', '--from', 's3', '--dry-run'],
  ['prune-backups', '--dry-run'],
  ['verify-backup', 'latest'],
  ['verify-backup', 'latest', '--from', 's3'],
  ['list-backups'],
];

test('with directories that others can enter: no look closes them', () =>
  inTurn(async world => {
    await makeBackup(world);
    for (const name of ['backups', 'logs', 'state']) {
      mkdirSync(join(world.directory, name), { recursive: true });
      chmodSync(join(world.directory, name), 0o755);
    }
    const before = seen(world);
    for (const [script, ...args] of LOOKS) {
      const done = await world.run(script, args);
      assert.is(done.code, 0, `${script} ${args}: ${done.stderr}`);
      assert.equal(seen(world), before, `${script} ${args}`);
    }
  }));

test('on a new server, with no directories at all: no look makes one', () =>
  inTurn(async world => {
    await makeBackup(world);
    for (const name of ['backups', 'logs', 'state'])
      rmSync(join(world.directory, name), { recursive: true, force: true });
    const before = seen(world);
    for (const [script, ...args] of [
      ['backup', '--dry-run'],
      ['restore', 'latest', '--from', 's3', '--dry-run'],
      ['prune-backups', '--dry-run'],
    ] as [string, ...string[]][]) {
      const done = await world.run(script, args);
      assert.is(done.code, 0, `${script} ${args}: ${done.stderr}`);
      assert.equal(seen(world), before, `${script} ${args}`);
    }
    const { code, stderr } = await world.run('verify-backup', ['latest']);
    assert.is(code, 0, stderr);
    assert.not.ok(existsSync(world.env.BACKUP_DIR!));
  }));

/** Directories that are not these scripts' own. */
const OF_OTHERS: Record<string, (directory: string) => void> = {
  'like /tmp': directory => chmodSync(directory, 0o1777),
  'like /var/backups': directory => writeFileSync(join(directory, 'dpkg.status.0'), ''),
  'a home directory': directory => writeFileSync(join(directory, '.bashrc'), ''),
};

for (const [what, make] of Object.entries(OF_OTHERS))
  test(`a directory of others is refused and not changed: ${what}`, () =>
    inTurn(async world => {
      const directory = join(world.directory, 'of-others');
      mkdirSync(directory, { mode: 0o755 });
      chmodSync(directory, 0o755);
      make(directory);
      const before = seen(world);
      const env = { BACKUP_DIR: directory };
      const says = /BACKUP_DIR \(.*of-others\) (is shared by all users|can be entered by other users)/;
      await refused(() => makeBackup(world, {}, env), 1, says, /chmod 700/);
      const { code, stderr } = await world.run('restore', ['latest', '--from', 's3', '--dry-run'], env);
      assert.is(code, 1);
      assert.match(stderr, says);
      assert.equal(seen(world), before);
    }));

test('one that holds only dumps, of whatever origin, is made private by the first backup', () =>
  inTurn(async world => {
    const directory = world.env.BACKUP_DIR!;
    mkdirSync(dirname(directory), { recursive: true });
    mkdirSync(directory);
    for (const name of ['neurmatic_20250106.sql.gz', 'old.dump', 'x.sql'])
      writeFileSync(join(directory, name), '');
    chmodSync(directory, 0o755);
    await makeBackup(world);
    assert.is(statSync(directory).mode & 0o777, 0o700);
  }));

test('the servers stop', stop);

test.run();
