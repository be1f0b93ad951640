/* maintenance.ts monthly: updates from stand-ins of the registries, a real restore of a table, real permissions. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestName } from '../../scripts/lib/backup/manifest.ts';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { pinnedImages } from '../../scripts/lib/maintenance/image-updates.ts';
import { executeHere } from '../support/cli/execute-here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createWorld } from '../support/core/world.ts';
import { dockerImages } from '../support/maintenance/docker-images.ts';
import { databases } from '../support/postgres/compare.ts';

const world = await createWorld();
test.after(world.stop);
const docker = dockerImages(world.directory);
const env: Record<string, string> = { ...world.env, PATH: `${docker.bin}:${world.env.PATH}` };
const { STATE_DIR, BACKUP_DIR } = world.env as Record<string, string>;
const monthly = async (...args: string[]) => {
  const { code, stdout, stderr } = await executeHere('maintenance', ['monthly', '--json', ...args], env);
  const { tasks } = JSON.parse(stdout) as {
    tasks: { task: string; found: string; notes: string[]; done: string[]; errors: string[] }[];
  };
  return { code, stderr, of: (name: string) => tasks.find(({ task }) => task === name)! };
};

/** What a program prints, and its exit code, as npm and apt-get have them. */
function program(name: string, script: string) {
  writeFileSync(join(docker.bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(docker.bin, name), 0o755);
}
const OUTDATED = JSON.stringify({
  zx: { current: '8.8.5', wanted: '8.8.5', latest: '8.8.9' },
  valibot: { current: '1.5.0', latest: '2.0.0' },
  typescript: { current: '7.0.2', latest: '7.0.3' },
});
const AUDIT = JSON.stringify({
  vulnerabilities: {
    ws: { severity: 'high', via: [{ title: 'DoS of a server', url: 'https://example.org/GHSA-1' }, 'other'] },
  },
});
const npm = (outdated: string, audit: string) =>
  program('npm', `case $1 in outdated) echo '${outdated}';; audit) echo '${audit}';; esac; exit 1`);
program(
  'apt-get',
  `echo 'Inst openssl [3.0.1] (3.0.2 Debian-Security:12/oldstable-security [amd64])
Inst tzdata [2026a] (2026b Debian:12.1/oldstable [all])
Conf openssl (3.0.2 Debian-Security:12/oldstable-security [amd64])'`,
);
npm(OUTDATED, AUDIT);

const pinned = pinnedImages(loadConfig('production', {}));
const [nginx, postgres] = ['nginx:', 'postgres:'].map(name => pinned.find(image => image.startsWith(name))!);
const next = (image: string) => image.replace(/(\d+)(?=-[a-z]|$)/, number => `${Number(number) + 1}`);
const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const registry = {
  ...Object.fromEntries(pinned.map(image => [image, digest('a')])),
  [next(nginx!)]: digest('b'),
  [postgres!]: digest('c'),
};
const images = Object.fromEntries(
  pinned.map((image, at) => [
    `sha256:${at}`,
    { names: [image, `${image.split(':')[0]}@${digest('a')}`], size: 1 },
  ]),
);
docker.write({ images, containers: [], registry });

mkdirSync(STATE_DIR!, { recursive: true, mode: 0o700 });
await world.sql(`CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, note text);
  CREATE TABLE empty (id int); INSERT INTO shop.orders SELECT i, 'note ' || i FROM generate_series(1, 500) AS i`);
const backup = await makeBackup(world, { upload: true });
writeFileSync(join(STATE_DIR!, 'history.jsonl'), '', { mode: 0o600 });
mkdirSync(world.env.LOG_DIR!, { recursive: true, mode: 0o700 });

test('all is looked at; a table with rows comes back in a scratch database, of which nothing stays', async () => {
  const before = await databases(world);
  const { code, stderr, of } = await monthly();
  assert.is(code, 0, stderr);
  const version = (image: string) => image.split(':').at(-1);
  assert.equal(of('images').notes, [
    `${nginx}: ${version(next(nginx!))} is there`,
    `${postgres} was built again since it was pulled, for packages in it: docker pull ${postgres}`,
  ]);
  assert.is(of('npm').found, '1 package with a newer patch version, 1 package with an advisory');
  assert.equal(of('npm').notes, [
    'zx 8.8.5: 8.8.9 is there',
    'newer minor or major versions: valibot 2.0.0',
    'ws (high): DoS of a server, https://example.org/GHSA-1; through other',
  ]);
  assert.is(of('system').found, '2 updates of the system, 1 of them for security');
  assert.match(
    of('system').notes.join('\n'),
    /^security: openssl 3\.0\.1 → 3\.0\.2; .*\nothers: tzdata 2026a → 2026b; /,
  );
  assert.match(of('table').found, /^one table at random of 1 in /);
  assert.match(
    of('table').done[0]!,
    /^restore table "shop"\."orders" \(500 rows\) of .* loaded, copied and compared$/,
  );
  assert.match(of('permissions').found, /^the directories and env files belong to /);
  assert.equal(await databases(world), before);
  assert.equal(
    await world.rows(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored%'`),
    [],
    'live',
  );
  assert.match(
    readFileSync(join(STATE_DIR!, 'backup-checks.jsonl'), 'utf8'),
    new RegExp(`${backup.id}.*loaded`),
  );
});

test('without a network it says so for each, does the rest, and ends with 1', async () => {
  docker.write({ images, containers: [] });
  npm(JSON.stringify({ error: { code: 'ENOTFOUND', summary: 'request to the registry failed' } }), '{}');
  const { code, of } = await monthly('--dry-run');
  assert.is(code, 1);
  assert.match(of('images').errors[0]!, /could not find .*no such host\n {2}→ check the network/);
  assert.match(
    of('npm').errors[0]!,
    /could not list newer versions of packages: ENOTFOUND: request .*\n {2}→ check the network/,
  );
  assert.equal([of('table').errors, of('table').done], [[], []]);
  npm('{}', JSON.stringify({ message: 'request to the registry failed', error: {} }));
  assert.match((await monthly('--dry-run')).of('npm').errors[0]!, /could not list advisories: request/);
  docker.write({ images, containers: [], registry });
  npm('', JSON.stringify({ vulnerabilities: {} }));
  assert.is(
    (await monthly('--dry-run')).of('npm').found,
    '0 packages with a newer patch version, 0 packages with an advisory',
  );
});

test('a damaged backup is exit code 3; a secret that others can read is a difference', async () => {
  const file = join(BACKUP_DIR!, manifestName(backup.id));
  const { artifact } = JSON.parse(readFileSync(file, 'utf8'));
  chmodSync(STATE_DIR!, 0o755);
  const open = await monthly('--dry-run');
  assert.is(open.code, 1);
  assert.match(
    open.of('permissions').errors[0]!,
    /has mode 755, not 700\n {2}→ .*setup-server\.ts --only directories/,
  );
  chmodSync(STATE_DIR!, 0o700);
  const path = join(BACKUP_DIR!, artifact.name);
  const damaged = readFileSync(path);
  damaged[damaged.length >> 1]! ^= 0xff;
  writeFileSync(path, damaged);
  env.S3_BUCKET = ''; // the copy there is whole
  const { code, of } = await monthly();
  assert.is(code, 3);
  assert.match(of('table').errors[0]!, /has changed: its SHA-256 is not that of its manifest/);
  assert.equal(of('permissions').errors, []);
});

test.run();
