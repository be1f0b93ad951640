/** Base images: minimal Debian systems made by debootstrap from the mirror that this machine uses. */

import { hash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, KEYRING, mirror, whyNoPackages } from '../engine/apt.ts';
import { CACHE, type Engine } from '../engine/engine.ts';
import { attempt, run, say } from '../engine/process.ts';

export const LABEL = 'test.stand-in.hash';

/** Its tag, after making it if it is missing. Only root on Debian can. */
export async function ensureBase(engine: Engine, suite: string): Promise<string> {
  const files = await settings(suite);
  const tag = `neurmatic-test/debian-${suite}:${hash('sha256', JSON.stringify(files)).slice(0, 12)}`;
  if ((await attempt('docker', ['image', 'inspect', tag], { env: engine.env })).code === 0) return tag;
  const obstacle = whyNoPackages();
  if (obstacle) throw new Error(`a Debian system can't be made because ${obstacle}`);

  say(`Making a Debian ${suite} system with debootstrap, for about 40 s`);
  await install(['debootstrap']);
  const root = join(CACHE, `images/${suite}.partial`);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  // What it mounts in the new system is gone with its mount namespace, however it ends.
  const debootstrap = [
    'debootstrap',
    '--variant=minbase',
    `--keyring=${KEYRING}`,
    suite,
    root,
    await mirror(),
  ];
  await run('unshare', ['--mount', ...debootstrap]);
  rmSync(join(root, 'etc/apt/sources.list'), { force: true });
  for (const [path, text] of Object.entries(files)) {
    writeFileSync(join(root, path), text, { mode: path.startsWith('usr/sbin') ? 0o755 : 0o644 });
  }
  const pipe =
    'tar --directory "$1" --numeric-owner --exclude "./var/cache/apt/archives/*.deb" --create . | docker import - "$2"';
  await run('bash', ['-o', 'pipefail', '-c', pipe, 'bash', root, tag], { env: engine.env });
  rmSync(root, { recursive: true });
  return tag;
}

/** What makes it fit for a Dockerfile, over what debootstrap leaves. */
async function settings(suite: string): Promise<Record<string, string>> {
  const source = (uri: string, name: string) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${name}\nComponents: main\nSigned-By: ${KEYRING}\n`;
  const security = suite === 'sid' ? undefined : await mirror('-security').catch(() => undefined);
  const apt = await run('apt-config', ['dump']);
  return {
    'etc/apt/sources.list.d/debian.sources':
      source(await mirror(), suite) + (security ? `\n${source(security, `${suite}-security`)}` : ''),
    // How this machine reaches and judges its mirror holds for the container too: proxies, dates.
    'etc/apt/apt.conf.d/90machine': `${[...apt.matchAll(/^Acquire::(?:https?::Proxy|Check-).*;$/gm)].join('\n')}\n`,
    'etc/apt/apt.conf.d/90small':
      'APT::Install-Recommends "false";\nAcquire::Languages "none";\nDPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n',
    // Packages must not start their services.
    'usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
  };
}
