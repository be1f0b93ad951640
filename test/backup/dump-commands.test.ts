import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodePipeline,
  decompressTo,
  dumpPipeline,
  globalsPipeline,
  parallelRestore,
  streamRestore,
} from '../../scripts/lib/backup/dump-commands.ts';

/** @returns the programs of a pipe, with their arguments */
const stages = ([, , script]: string[]) => script!.split('; ')[0]!.split(' | ');

test('a dump is made of one snapshot, and compressed outside pg_dump', () => {
  const [plain, gzip] = stages(dumpPipeline('app', 'plain', '0003-1', 60));
  assert.match(plain!, /^pg_dump --format=plain .*--lock-wait-timeout=90s --snapshot=0003-1 /);
  assert.match(gzip!, /^gzip /);
  const [custom, zstd] = stages(dumpPipeline('app', 'custom', '0003-1', 60));
  assert.match(custom!, /^pg_dump --format=custom --compress=0 /);
  assert.match(zstd!, /^zstd /);
});

test('roles are dumped without passwords', () => {
  const globals = stages(globalsPipeline('main db'))[0]!;
  assert.match(globals, /^pg_dumpall --globals-only --no-role-passwords .*--database="?\$?.*main db/);
});

test('the name of a database is one argument', () => {
  const name = "a b='c'; rm -rf $HOME";
  assert.equal(parallelRestore(name, '/tmp/dump', 4).slice(-3), [
    `--dbname=dbname='a b=\\'c\\'; rm -rf $HOME'`,
    '--jobs=4',
    '/tmp/dump',
  ]);
});

test('each format is decoded by its own program, and loading stops at the first error', () => {
  assert.equal(
    stages(decodePipeline('plain')).map(stage => stage.split(' ')[0]),
    ['gzip', 'tail'],
  );
  assert.equal(
    stages(decodePipeline('custom')).map(stage => stage.split(' ')[0]),
    ['zstd', 'pg_restore'],
  );
  assert.match(stages(streamRestore('app', 'plain'))[1]!, /^psql .*--set=ON_ERROR_STOP=1/);
  assert.match(stages(streamRestore('app', 'custom'))[1]!, /^pg_restore --exit-on-error/);
  assert.is(decompressTo('/tmp/dump')[3], '/tmp/dump');
});

test.run();
