import { cpSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { localBackups } from '../../../scripts/lib/backup/catalog.ts';
import { findSource } from '../../../scripts/lib/backup/find.ts';
import { checkSource } from '../../../scripts/lib/backup/verify.ts';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { configOf } from '../backup/old-backups.ts';
import { createWorld, type Ended, history, startProgram, type World } from '../core/world.ts';

/** A world whose scripts are started as cron starts them. */
export interface CronWorld {
  world: World;
  /** The scripts in another place, with the world's settings in a file beside them. */
  copy: string;
  /** Runs a line of shell as cron does: `sh -c`, from `/`, in a nearly empty environment. */
  sh: (line: string, env?: Record<string, string>) => Promise<Ended>;
  /** Asserts that a backup succeeds when it is started with this redirection, such as `>&-`. */
  assertBacksUp: (closed: string) => Promise<void>;
  /** Asserts that a backup outlives what reads its output, such as `| true`. */
  assertOutlives: (reader: string) => Promise<void>;
  /** Asserts that stdout is JSON, and says why it failed if that is expected. */
  assertJson: (line: string, expected: number) => Promise<void>;
}

export async function createCronWorld(): Promise<CronWorld> {
  const world = await createWorld();
  await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 100) AS i');
  const copy = join(world.directory, 'copy of the repository');
  for (const name of ['scripts', 'package.json'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const { PATH: _, HOME: __, ...settings } = world.env;
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
  writeFileSync(join(copy, '.env.production'), lines.join(''));
  const sh: CronWorld['sh'] = (line, env = {}) =>
    startProgram(
      '/bin/sh',
      ['-c', line],
      { PATH: '/usr/bin:/bin', HOME: world.directory, ...env },
      { cwd: '/' },
    ).ended;
  /** The ids of all backups that are there, each of which counts and can be read back. */
  const wholeBackups = async () => {
    const config = configOf(world, {});
    const found = await localBackups(config);
    for (const { id, problem } of found) assert.is(problem, undefined, id);
    if (found.length > 0) {
      const source = await findSource(config, 'latest', 'local');
      await checkSource(config.postgres, { ...source, directory: config.backupDir, work: '' });
    }
    return found.map(({ id }) => id);
  };
  const succeeded = () =>
    existsSync(join(world.env.STATE_DIR!, 'history.jsonl'))
      ? history(world).filter(({ exitCode }) => exitCode === 0).length
      : 0;
  const assertMakes = async (rest: string, ended: (done: Ended) => void) => {
    const known = await wholeBackups();
    const before = succeeded();
    ended(await sh(`'${copy}/scripts/backup.ts' --no-upload ${rest}`));
    assert.is((await wholeBackups()).length, known.length + 1, rest);
    assert.is(succeeded(), before + 1, `${rest}: it is in the history`);
  };
  return {
    world,
    copy,
    sh,
    assertBacksUp: closed =>
      assertMakes(closed, ({ code, stderr }) => assert.is(code, 0, `${closed}: ${stderr}`)),
    assertOutlives: reader => assertMakes(reader, () => {}), // the code is the reader's
    assertJson: async (line, expected) => {
      const { code, stdout, stderr } = await sh(`'${copy}/scripts/'${line}`);
      assert.is(code, expected, `${line}: ${stderr}`);
      const json = JSON.parse(stdout);
      if (expected) assert.is(json.error.exitCode, expected, line);
    },
  };
}
