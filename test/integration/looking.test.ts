/** A run that only looks changes nothing: no mode, no file, no directory, no object, not even the time of a change. */
import { chmodSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertCloseNone, assertLeftAlone, assertMakeNone, OF_OTHERS } from '../support/backup/looks.ts';
import { paste } from '../support/cli/paste.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';

const { inTurn, stop } = await createTurns();

/** With more arguments: test/long/integration/looking.test.ts. */
test('with directories that others can enter: no look closes them', () =>
  inTurn(world => assertCloseNone(world, [['restore', 'latest', '--dry-run']])));

test('on a new server, with no directories at all: no look makes one', () =>
  inTurn(world => assertMakeNone(world, [['backup', '--dry-run']])));

test('the commands that backup.ts --dry-run shows make these files when they are pasted', () =>
  inTurn(async world => {
    await world.sql('CREATE TABLE pasted (id int)');
    for (const format of ['plain', 'custom']) {
      const { stdout } = await world.run('backup', ['--dry-run', '--format', format]);
      const commands = [...stdout.matchAll(/^ {2}(pg_dump.*)$/gm)].map(([, command]) => command!);
      assert.is(commands.length, 2, stdout);
      assert.is(stdout.includes('they need PGPASSWORD'), Boolean(world.env.POSTGRES_PASSWORD));
      const cwd = mkdtempSync(join(world.directory, `${format}-`));
      for (const command of commands) {
        const { code, stderr } = await paste(
          { env: { ...world.env, PGPASSWORD: world.env.POSTGRES_PASSWORD ?? '' } },
          command,
          cwd,
        );
        assert.equal([code, stderr], [0, '']);
      }
      const read = format === 'plain' ? 'gzip -dc app.sql.gz' : 'zstd -dc app.dump.zst | pg_restore -l';
      const shown = await paste(world, read, cwd);
      assert.match(shown.stdout, /TABLE (public[. ])?pasted/, JSON.stringify([commands, shown]));
      assert.match((await paste(world, 'gzip -dc globals.sql.gz', cwd)).stdout, /CREATE ROLE/);
    }
  }));

/** The others: test/long/integration/looking.test.ts. */
test('a directory of others is refused and not changed', () =>
  inTurn(world => assertLeftAlone(world, OF_OTHERS['a home directory'])));

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
