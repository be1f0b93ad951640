/** A run that only looks changes nothing: no mode, no file, no directory, no object, not even the time of a change. */
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertCloseNone, assertMakeNone, seen } from '../support/backup/looks.ts';
import { makeBackup, refused, restoreHere } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

/** With more arguments: test/long/integration/looking.test.ts. */
test('with directories that others can enter: no look closes them', () =>
  inTurn(world =>
    assertCloseNone(world, [
      ['backup', '--dry-run', '--format', 'custom', '--json'],
      ['restore', 'latest', '--dry-run'],
      ['prune-backups', '--dry-run'],
      ['verify-backup', 'latest'],
      ['list-backups'],
    ]),
  ));

test('on a new server, with no directories at all: no look makes one', () =>
  inTurn(world =>
    assertMakeNone(world, [
      ['backup', '--dry-run'],
      ['restore', 'latest', '--from', 's3', '--dry-run'],
    ]),
  ));

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
      const flags = { from: 's3', 'dry-run': true };
      await refused(() => restoreHere(world, 'latest', flags, env), 1, says);
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
