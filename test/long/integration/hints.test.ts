/** Commands that a refused restore shows: the same command with other options, with a file whose name needs quotes. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { placeOf } from '../../../scripts/lib/cli/place.ts';
import { pasteable } from '../../../scripts/lib/core/command-line.ts';
import { backupHere } from '../../../scripts/lib/health/checks/backup.ts';
import { backupLoaded } from '../../../scripts/lib/health/checks/backup-loaded.ts';
import { configOf, plant } from '../../support/backup/old-backups.ts';
import { commandIn, paste } from '../../support/cli/paste.ts';
import { captured } from '../../support/core/here.ts';
import { makeBackup } from '../../support/core/in-process.ts';
import { createTurns } from '../../support/core/turns.ts';
import type { World } from '../../support/core/world.ts';
import { program } from '../../support/postgres/compare.ts';
import { INDEX, PRECIOUS } from '../../support/restore/failing-dumps.ts';
import { writeDump } from '../../support/restore/plain-dumps.ts';

const { inTurn, stop } = await createTurns();
const NAME = "it's a dump.sql.gz";

const restore = (world: World, ...args: string[]) =>
  world.run('restore', [`./${NAME}`, '--yes', '--env', 'staging', ...args], {}, { cwd: world.directory });

/** Runs what a message shows, which restores into `database`. */
async function resolves(world: World, stderr: string, pattern: RegExp, database: string): Promise<void> {
  const command = commandIn(stderr, pattern);
  assert.match(command, /'\.\/it'\\''s a dump\.sql\.gz'/);
  const { code, stderr: why } = await paste(world, command, world.directory);
  assert.is(code, 0, `${command}\n${why}`);
  assert.is((await world.sql('SELECT count(*) FROM precious', database)).trim(), '1');
}

test('a statement fails that can be accepted', () =>
  inTurn(async world => {
    writeDump(world, NAME, `${PRECIOUS}INSERT INTO precious VALUES (1);\n${INDEX}`);
    const { code, stderr } = await restore(world, '--database', 'other');
    assert.is(code, 1, stderr);
    await resolves(world, stderr, /`([^`]+ --accept-errors)` restores without what failed/, 'other');
  }));

test('only a superuser can load it', () =>
  inTurn(async world => {
    const owner = 'CREATE ROLE other; CREATE TABLE precious (i int); ALTER TABLE precious OWNER TO other';
    await world.sql(`${owner}; INSERT INTO precious VALUES (1);
      CREATE FUNCTION internal(text) RETURNS int LANGUAGE internal STRICT AS 'textlen'`);
    await program(world, 'bash', '-c', 'pg_dump app | gzip > "$0"', `${world.directory}/${NAME}`);
    const { code, stderr } = await restore(world, '--database', 'other');
    assert.is(code, 1, stderr);
    await resolves(world, stderr, /this dump: `([^`]+ --as-superuser)`/, 'other');
  }));

test('the tables of a dump without a manifest are not known', () =>
  inTurn(async world => {
    writeDump(world, NAME, `${PRECIOUS}INSERT INTO precious VALUES (1);`);
    const { code, stderr } = await restore(world, '--table', 'public.precious');
    assert.is(code, 2, stderr);
    await resolves(world, stderr, /copy from there: `([^`]+)`/, 'app_copy');
  }));

/** @returns what a script of staging prints in the world's directory, and runs what is shown there */
const inStaging = (world: World) => ({
  env: { S3_BUCKET: '' },
  config: configOf(world, { DEPLOY_ENV: 'staging', S3_BUCKET: '' }),
  pasted: async (text: string, pattern: RegExp, more = '') => {
    const place = { ...placeOf('staging'), cwd: world.directory };
    const command = commandIn(pasteable(text, place), pattern);
    assert.match(command, / --env staging/);
    const { code, stdout, stderr } = await paste(
      { env: { ...world.env, S3_BUCKET: '' } },
      command + more,
      world.directory,
    );
    assert.is(code, 0, `${command}\n${stderr}`);
    return stdout;
  },
});

test('backups are missed, old, too many at once, and not proven to load', () =>
  inTurn(async world => {
    const { env, config, pasted } = inStaging(world);
    await world.sql('CREATE TABLE items AS SELECT generate_series(1, 50) AS id');
    const directory = world.env.BACKUP_DIR!;
    const made = await captured(() =>
      makeBackup(world, { upload: false }, { ...env, DEPLOY_ENV: 'staging' }),
    );
    assert.is(made.code, 0, made.error);
    const { id } = made.value!;
    for (const days of [500, 501, 502, 503, 504, 505, 506]) await plant(directory, id, { days });
    for (const name of readdirSync(directory)) if (name.includes(id)) rmSync(join(directory, name));

    const never = await backupLoaded(config).run();
    assert.match(never.message, /no backup has been loaded and compared yet/);
    const missed = await backupHere(config).run();
    assert.is(missed.status, 'critical', missed.message);
    await pasted(missed.hint!, /then run (.*backup\.ts.*)\.$/);
    const now = await backupHere(config).run();
    assert.is(now.status, 'ok', now.message);

    const more = { ...env, BACKUP_MIN_KEEP: '1' };
    world.env.BACKUP_MIN_KEEP = '1';
    const { stderr } = await world.run('backup', ['--env', 'staging'], more, { cwd: world.directory });
    const look = await pasted(
      stderr,
      /it would delete \d of \d+ backups at once; check (\S+prune.*--dry-run),/,
    );
    const pruned = await pasted(stderr, /--dry-run, then run (\S+prune-backups\.ts --env staging)/, ' --yes');
    assert.match(look + pruned, /delete/);
    const left = readdirSync(directory).filter(name => name.endsWith('.json'));
    assert.ok(left.length <= 3, `${left}`);

    await pasted(never.hint!, /(\S+verify-backup\.ts .*--load)/);
    const loaded = await backupLoaded(config).run();
    assert.is(loaded.status, 'ok');
    assert.match(loaded.message, /the last that was loaded and compared is neurmatic_staging_/);
  }));

test.after(stop);
test.run();
