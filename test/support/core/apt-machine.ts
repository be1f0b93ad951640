/** apt-get and dpkg as the one installer of packages runs them, with a system and a repository below a directory of a test's. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { type Child, startChild } from './child.ts';
import { startProgram } from './world.ts';

interface Machine {
  /** Runs the installer in a process of its own. */
  install: (...names: string[]) => ReturnType<typeof startProgram>;
  /** Another program takes a lock of apt's or dpkg's, until it is stopped. */
  holdLock: (file: string) => Promise<Child>;
  /** What dpkg has done: `install left`. */
  done: () => string[];
}

export async function onMachine(body: (machine: Machine) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'packages-'));
  const children: ChildProcess[] = [];
  const at = (path: string) => join(directory, path);
  try {
    for (const path of [
      'repository',
      'state/lists/partial',
      'cache/archives/partial',
      'dpkg/updates',
      'dpkg/info',
    ])
      mkdirSync(at(path), { recursive: true });
    for (const path of ['dpkg/status', 'dpkg/available', 'Packages']) writeFileSync(at(path), '');
    writeFileSync(
      at('repository/Packages'),
      ['left', 'right'].map(name => build(at('repository'), name)).join('\n'),
    );
    writeFileSync(at('sources.list'), `deb [trusted=yes] file:${at('repository')} ./\n`);
    const settings = {
      'Dir::State': at('state'),
      'Dir::State::status': at('dpkg/status'),
      'Dir::Cache': at('cache'),
      'Dir::Etc::sourcelist': at('sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Log': at('cache'),
      'APT::Sandbox::User': 'root',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
    const dpkg = [`--admindir=${at('dpkg')}`, `--instdir=${at('root')}`, `--log=${at('dpkg.log')}`];
    lines.push(`DPkg::Options { ${dpkg.map(option => `"${option}";`).join(' ')} };`);
    mkdirSync(at('root'));
    writeFileSync(at('dpkg.log'), '');
    writeFileSync(at('apt.conf'), `${lines.join('\n')}\n`);
    const env = { PATH: process.env.PATH!, APT_CONFIG: at('apt.conf'), DPKG_ADMINDIR: at('dpkg') };
    const source = `
      import { installPackages } from ${JSON.stringify(join(ROOT, 'scripts/lib/core/packages.ts'))};
      await installPackages(process.argv.slice(1)).catch(error => {
        console.error(error.message);
        process.exitCode = 1;
      });`;
    await body({
      install: (...names) => {
        const argv = ['--input-type=module-typescript', '--eval', source, ...names];
        const started = startProgram(process.execPath, argv, env);
        children.push(started.child);
        return started;
      },
      holdLock: async file => {
        const holder = await foreignLock(at(file));
        children.push(holder.process);
        return holder;
      },
      done: () =>
        [...readFileSync(at('dpkg.log'), 'utf8').matchAll(/ (install|upgrade) (\w+):/g)].map(
          ([, verb, name]) => `${verb} ${name}`,
        ),
    });
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
}

/** Makes a package with nothing in it. @returns its entry in the repository's index */
function build(repository: string, name: string): string {
  const tree = join(repository, `${name}.tree`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  const control = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: for a test\n`;
  writeFileSync(join(tree, 'DEBIAN/control'), control);
  const file = join(repository, `${name}.deb`);
  execFileSync('dpkg-deb', ['--build', tree, file], { stdio: 'ignore' });
  const content = readFileSync(file);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return `${control}Filename: ./${name}.deb\nSize: ${content.length}\nSHA256: ${sha256}\n`;
}

/** A program that is not ours and holds one of apt's locks until it is ended: they are those of fcntl. */
async function foreignLock(file: string): Promise<Child> {
  const script = `use Fcntl; my $lock = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0); $| = 1;
    open(F, '+>', $ARGV[0]) or die; fcntl(F, F_SETLK, $lock) or die; print "held\n"; sleep 300`;
  const holder = startChild('perl', ['-e', script, file]);
  await holder.line(/^held$/);
  return holder;
}

/** Asserts that a lock of another program is waited for, and that what is missing is installed then. */
export const assertWaits = (lock: string): Promise<void> =>
  onMachine(async ({ holdLock, install, done }) => {
    const holder = await holdLock(lock);
    const run = install('left');
    await run.shows(/another program, which holds a lock/);
    await new Promise(resolve => setTimeout(resolve, 300)); // time enough for what must not happen
    assert.equal(done(), []);
    await holder.stop('SIGKILL');
    const { code, stderr } = await run.ended;
    assert.is(code, 0, stderr);
    assert.equal(done(), ['install left']);
  });
