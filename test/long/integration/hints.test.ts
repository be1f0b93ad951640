/** Commands that a refused restore shows: the same command with other options, with a file whose name needs quotes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commandIn, paste } from '../../support/cli/paste.ts';
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

test.after(stop);
test.run();
