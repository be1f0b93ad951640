/** Base images: minimal Debian systems made by debootstrap from the mirror that this machine uses. */

import { hash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, KEYRING, mirror } from '../engine/apt.ts';
import { CACHE, type Engine } from '../engine/engine.ts';
import { attempt, run, say, withLock } from '../engine/process.ts';

export const LABEL = 'test.stand-in.hash';

/** The value of an image's label, '' if it has none, undefined if the engine has no such image. */
export async function label(engine: Engine, ref: string): Promise<string | undefined> {
  const format = `{{with .Config.Labels}}{{index . "${LABEL}"}}{{end}}`;
  const inspect = ['image', 'inspect', '--format', format, ref];
  const { code, stdout, stderr } = await attempt('docker', inspect, engine);
  if (code === 0) return stdout.trim();
  if (/no such image/i.test(stderr)) return undefined;
  throw new Error(`can't tell whether there is an image ${ref}: ${stderr.trim()}`);
}

/** Its tag, after making it if it is missing, which only root on Debian can. */
export async function ensureBase(engine: Engine, suite: string): Promise<string> {
  const files = await settings(suite);
  const tag = `neurmatic-test/debian-${suite}:${hash('sha256', JSON.stringify(files)).slice(0, 12)}`;
  if ((await label(engine, tag)) !== undefined) return tag;
  await withLock(join(CACHE, `base-${suite}.lock`), async () => {
    if ((await label(engine, tag)) === undefined) await makeBase(engine, suite, tag, files);
  });
  return tag;
}

async function makeBase(
  engine: Engine,
  suite: string,
  tag: string,
  files: Record<string, string>,
): Promise<void> {
  say(`Making a Debian ${suite} system with debootstrap, for about 40 s`);
  await install(['debootstrap']);
  const root = join(CACHE, `images/${suite}.partial`);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  // What it mounts in the new system is gone with its mount namespace, however it ends.
  const options = ['--variant=minbase', `--keyring=${KEYRING}`];
  await run('unshare', ['--mount', 'debootstrap', ...options, suite, root, await mirror()]);
  rmSync(join(root, 'etc/apt/sources.list'), { force: true });
  for (const [path, text] of Object.entries(files)) {
    writeFileSync(join(root, path), text, { mode: path.startsWith('usr/sbin') ? 0o755 : 0o644 });
  }
  const pack = 'tar --directory "$1" --numeric-owner --exclude "./var/cache/apt/archives/*.deb" --create .';
  const pipe = `${pack} | docker import --change "LABEL ${LABEL}=base" - "$2"`;
  await run('bash', ['-o', 'pipefail', '-c', pipe, 'bash', root, tag], engine);
  rmSync(root, { recursive: true });
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
    'etc/apt/apt.conf.d/90machine': `${(apt.match(/^Acquire::(?:https?::Proxy|Check-).*;$/gm) ?? []).join('\n')}\n`,
    'etc/apt/apt.conf.d/90small':
      'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' +
      'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n',
    // Packages must not start their services.
    'usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
  };
}
