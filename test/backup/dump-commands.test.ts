import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodePipeline, dumpPipeline, globalsPipeline } from '../../scripts/lib/backup/dump-commands.ts';

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

test('dumps have owners and privileges', () => {
  for (const format of ['plain', 'custom'] as const)
    assert.not.match(
      dumpPipeline('app', format, '0003-1', 60).join(' '),
      /--no-(owner|acl|privileges|tablespaces)/,
    );
});

test('roles are dumped without passwords', () => {
  const globals = stages(globalsPipeline('main db'))[0]!;
  assert.match(globals, /^pg_dumpall --globals-only --no-role-passwords .*--database="?\$?.*main db/);
});

test('each format is decoded by its own program', () => {
  assert.equal(
    stages(decodePipeline('plain')).map(stage => stage.split(' ')[0]),
    ['gzip', 'bash'],
  );
  assert.equal(
    stages(decodePipeline('custom')).map(stage => stage.split(' ')[0]),
    ['zstd', 'pg_restore'],
  );
});

test.run();
