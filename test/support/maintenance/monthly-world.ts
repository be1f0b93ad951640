/** What maintenance.ts monthly looks at: registries and programs by stand-ins, and a real server with a backup. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../scripts/lib/config/config.ts';
import { pinnedImages } from '../../../scripts/lib/maintenance/image-updates.ts';
import { executeHere } from '../cli/execute-here.ts';
import { makeBackup } from '../core/in-process.ts';
import { createWorld } from '../core/world.ts';
import { dockerImages } from './docker-images.ts';

export const world = await createWorld();
export const docker = dockerImages(world.directory);
export const env: Record<string, string> = { ...world.env, PATH: `${docker.bin}:${world.env.PATH}` };
export const { STATE_DIR, BACKUP_DIR } = world.env as Record<string, string>;
export const monthly = async (...args: string[]) => {
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
export const OUTDATED = JSON.stringify({
  zx: { current: '8.8.5', wanted: '8.8.5', latest: '8.8.9' },
  valibot: { current: '1.5.0', latest: '2.0.0' },
  typescript: { current: '7.0.2', latest: '7.0.3' },
});
export const AUDIT = JSON.stringify({
  vulnerabilities: {
    ws: { severity: 'high', via: [{ title: 'DoS of a server', url: 'https://example.org/GHSA-1' }, 'other'] },
  },
});
export const npm = (outdated: string, audit: string) =>
  program('npm', `case $1 in outdated) echo '${outdated}';; audit) echo '${audit}';; esac; exit 1`);
program(
  'apt-get',
  `echo 'Inst openssl [3.0.1] (3.0.2 Debian-Security:12/oldstable-security [amd64])
Inst tzdata [2026a] (2026b Debian:12.1/oldstable [all])
Conf openssl (3.0.2 Debian-Security:12/oldstable-security [amd64])'`,
);
npm(OUTDATED, AUDIT);

export const pinned = pinnedImages(loadConfig('production', {}));
export const [nginx, postgres] = ['nginx:', 'postgres:'].map(
  name => pinned.find(image => image.startsWith(name))!,
);
export const next = (image: string) => image.replace(/(\d+)(?=-[a-z]|$)/, number => `${Number(number) + 1}`);
const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
export const registry = {
  ...Object.fromEntries(pinned.map(image => [image, digest('a')])),
  [next(nginx!)]: digest('b'),
  [postgres!]: digest('c'),
};
export const images = Object.fromEntries(
  pinned.map((image, at) => [
    `sha256:${at}`,
    { names: [image, `${image.split(':')[0]}@${digest('a')}`], size: 1 },
  ]),
);
docker.write({ images, containers: [], registry });

mkdirSync(STATE_DIR!, { recursive: true, mode: 0o700 });
await world.sql(`CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, note text);
  CREATE TABLE empty (id int); INSERT INTO shop.orders SELECT i, 'note ' || i FROM generate_series(1, 500) AS i`);
export const backup = await makeBackup(world, { upload: true });
writeFileSync(join(STATE_DIR!, 'history.jsonl'), '', { mode: 0o600 });
mkdirSync(world.env.LOG_DIR!, { recursive: true, mode: 0o700 });
