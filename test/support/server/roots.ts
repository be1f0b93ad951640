/** Root file systems of bare servers, made by debootstrap once and kept in the cache of the tests. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, KEYRING, mirror, unpack } from '../../engine/apt.ts';
import { CACHE } from '../../engine/engine.ts';
import { run, say, withLock } from '../../engine/process.ts';

/** Debian 12 and 13, Ubuntu 22.04 and 24.04: the systems that `setup-server.ts` is for. */
export const SUITES = ['bookworm', 'trixie', 'jammy', 'noble'] as const;
export type Suite = (typeof SUITES)[number];

const ROOTS = join(CACHE, 'roots');
/** What the image of a provider has, and little more. */
const PACKAGES = 'systemd-sysv,dbus,openssh-server,sudo,iproute2,ca-certificates,cron,netbase';
const UBUNTU = 'http://archive.ubuntu.com/ubuntu';
const isUbuntu = (suite: Suite) => suite === 'jammy' || suite === 'noble';

/** @returns the directory of a root file system, which nothing must change, and of an archive of its packages */
export async function rootOf(suite: Suite): Promise<{ root: string; archive: string }> {
  const root = join(ROOTS, suite);
  const archive = join(ROOTS, `${suite}.archive`);
  mkdirSync(join(archive, 'partial'), { recursive: true });
  if (existsSync(root)) return { root, archive };
  await withLock(join(CACHE, `root-${suite}.lock`), async () => {
    if (!existsSync(root)) await make(suite, root);
  });
  return { root, archive };
}

async function make(suite: Suite, root: string): Promise<void> {
  say(`Making a bare ${suite} server with debootstrap, for some minutes`);
  await install(['debootstrap']);
  const partial = `${root}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const from = isUbuntu(suite)
    ? await ubuntu(suite)
    : [`--keyring=${KEYRING}`, suite, partial, await mirror()];
  const options = ['--variant=minbase', `--include=${PACKAGES}`];
  await run('unshare', ['--mount', 'debootstrap', ...options, ...from.map(each => each || partial)], {
    timeout: 1_800_000,
  });
  // Debootstrap knows the release only, and a server has its corrections.
  const lines = await sources(suite);
  writeFileSync(join(partial, 'etc/apt/sources.list'), `${lines.join('\n')}\n`);
  renameSync(partial, root);
}

async function sources(suite: Suite): Promise<string[]> {
  if (isUbuntu(suite))
    return ['', '-updates', '-security'].map(kind => `deb ${UBUNTU} ${suite}${kind} main universe`);
  const own = await mirror();
  const security = await mirror('-security').catch(() => undefined);
  return [
    ...['', '-updates'].map(kind => [suite + kind, own] as const),
    ...(security ? [[`${suite}-security`, security] as const] : []),
  ].map(([name, uri]) => `deb ${uri} ${name} main`);
}

/** @returns arguments of debootstrap; '' stands for the directory. Debian's has no script for new releases of Ubuntu. */
async function ubuntu(suite: Suite): Promise<string[]> {
  const keys = join(ROOTS, 'ubuntu-keyring');
  await withLock(`${keys}.lock`, () => unpack('trixie', ['ubuntu-keyring'], keys));
  const keyring = join(keys, 'usr/share/keyrings/ubuntu-archive-keyring.gpg');
  return [
    '--components=main,universe',
    `--keyring=${keyring}`,
    suite,
    '',
    UBUNTU,
    '/usr/share/debootstrap/scripts/gutsy',
  ];
}
