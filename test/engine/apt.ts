/**
 * Debian packages for the tests, two ways:
 *
 * - `install` puts packages of the machine's own release on the machine, as a drill does;
 * - `unpack` takes packages of another release apart into a directory, without installing them. It gives apt
 *   lists, status and cache of its own, so nothing of that release ever shows up in the machine's apt; the
 *   archive's signature and the packages' hashes are checked by apt as ever.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, say } from './process.ts';

export { installPackages as install } from '../../scripts/lib/core/packages.ts';

export const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Can this process install Debian packages? If not: why not. */
export function whyNoPackages(os = osRelease(), uid = process.getuid?.()): string | undefined {
  if (os.ID !== 'debian') return `this is not Debian, but ${os.PRETTY_NAME ?? process.platform}`;
  if (Number(os.VERSION_ID ?? 99) < 12) return `this is Debian ${os.VERSION_ID}, older than 12`;
  if (uid !== 0) return 'this process is not root';
  return undefined;
}

/**
 * Where this machine gets its own Debian release from; the other releases are there too. `kind` picks another of
 * its archives, such as '-security'.
 */
export async function mirror(kind = ''): Promise<string> {
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages'];
  const targets = await run('apt-get', ['indextargets', ...format]);
  const own = `${osRelease().VERSION_CODENAME}${kind} `;
  const line = targets.split('\n').find(target => target.startsWith(own));
  if (!line) throw new Error(`apt has no source for ${own}\nAdd one to /etc/apt/sources.list.d`);
  return line.slice(own.length);
}

/** Downloads `packages` of the Debian release `suite` and unpacks them into `target`, whole or not at all. */
export async function unpack(suite: string, packages: string[], target: string): Promise<void> {
  if (existsSync(target)) return;
  const work = `${target}.partial`;
  rmSync(work, { recursive: true, force: true });
  const apt = join(work, 'apt');
  for (const dir of ['lists/partial', 'archives/partial', 'sources', 'debs']) {
    mkdirSync(join(apt, dir), { recursive: true });
  }
  writeFileSync(join(apt, 'status'), '');
  writeFileSync(
    join(apt, 'sources', `${suite}.sources`),
    `Types: deb\nURIs: ${await mirror()}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
  const settings = {
    'Dir::State': apt,
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(apt, 'sources'),
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    // apt would like to download as the user _apt, who may not enter a cache under /root.
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  say(`Downloading from Debian ${suite}: ${packages.join(' ')}`);
  await run('apt-get', ['-q', ...options, 'update']);
  const debs = join(apt, 'debs');
  await run('apt-get', ['-q', ...options, 'download', ...packages], { cwd: debs });
  for (const deb of readdirSync(debs)) await run('dpkg', ['-x', join(debs, deb), join(work, 'root')]);
  renameSync(join(work, 'root'), target);
  rmSync(work, { recursive: true });
}

function osRelease(): Record<string, string | undefined> {
  if (!existsSync('/etc/os-release')) return {};
  const pairs = readFileSync('/etc/os-release', 'utf8').matchAll(/^(\w+)="?(.*?)"?$/gm);
  return Object.fromEntries([...pairs].map(([, key, value]) => [key, value]));
}
