/** Runs that only look, and what they must leave as it is. */
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Format } from '../../../scripts/lib/backup/manifest.ts';
import { paste } from '../cli/paste.ts';
import { makeBackup, refused, restoreHere } from '../core/in-process.ts';
import type { World } from '../core/world.ts';
import { keys } from '../s3/store.ts';

/** When each backup was read: the one thing that verify-backup.ts writes. */
const RECORD = 'state/backup-checks.jsonl';

/** A script and its arguments. */
export type Look = [string, ...string[]];

/** Names, modes and sizes of all that a script could write, and the objects. */
export function seen(world: World) {
  const files = globSync('**', { cwd: world.directory, exclude: [RECORD] }).sort();
  const hidden = globSync('{backups,logs,state}/.*', { cwd: world.directory }).sort();
  const described = [...files, ...hidden].map(name => {
    const { mode, size } = statSync(join(world.directory, name));
    return `${name} ${mode.toString(8)} ${mode & 0o40000 ? '' : size}`;
  });
  return { files: described, objects: keys(world) };
}

async function assertUnchanged(world: World, looks: Look[]): Promise<void> {
  const before = seen(world);
  for (const [script, ...args] of looks) {
    const done = await world.run(script, args);
    assert.is(done.code, 0, `${script} ${args}: ${done.stderr}`);
    assert.equal(seen(world), before, `${script} ${args}`);
  }
}

const own = (world: World) => ['backups', 'logs', 'state'].map(name => join(world.directory, name));

/** Of a world with a backup, with directories that others can enter: no look closes them. */
export async function assertCloseNone(world: World, looks: Look[]): Promise<void> {
  for (const directory of own(world)) {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
  }
  await assertUnchanged(world, looks);
}

/** Of a world with a backup in its store, as a new server with no directories at all: no look makes one. */
export async function assertMakeNone(world: World, looks: Look[]): Promise<void> {
  for (const directory of own(world)) rmSync(directory, { recursive: true, force: true });
  await assertUnchanged(world, looks);
  const { code, stderr } = await world.run('verify-backup', ['latest']);
  assert.is(code, 0, stderr);
  assert.not.ok(existsSync(world.env.BACKUP_DIR!));
}

/** Directories that are not these scripts' own. */
export const OF_OTHERS = {
  'like /tmp': (directory: string) => chmodSync(directory, 0o1777),
  'like /var/backups': (directory: string) => writeFileSync(join(directory, 'dpkg.status.0'), ''),
  'a home directory': (directory: string) => writeFileSync(join(directory, '.bashrc'), ''),
};

/** A directory of others is refused and not changed. */
export async function assertLeftAlone(world: World, make: (directory: string) => void): Promise<void> {
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
}

/** backup.ts --dry-run makes nothing, and the commands that it shows make the files of a backup when they are pasted. */
export async function assertPasted(world: World, format: Format): Promise<void> {
  await world.sql('CREATE TABLE IF NOT EXISTS pasted (id int)');
  const before = seen(world);
  const { stdout } = await world.run('backup', ['--dry-run', '--format', format]);
  assert.equal(seen(world), before);
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
