/** Scanners from elsewhere, kept between runs. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, unpack, whyNoPackages } from '../../engine/apt.ts';
import { CACHE } from '../../engine/engine.ts';
import { attempt, run, say } from '../../engine/process.ts';
import type { Stack } from './stack.ts';

export interface Finding {
  id: string;
  severity: 'OK' | 'INFO' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL' | 'WARN' | 'FATAL';
  finding: string;
}

const TESTSSL_SUITE = 'trixie';

/**
 * All that testssl.sh finds for a name on a port of this machine. One that is installed is used; on Debian it is
 * fetched: the previous release knows no post-quantum key exchange.
 * @throws where there is none and none can be had
 */
export async function testssl(stack: Stack, host: string): Promise<Finding[]> {
  const { program, data } = await haveTestssl();
  const ca = join(stack.directory, 'ca.pem');
  writeFileSync(ca, stack.ca);
  const manner = ['--quiet', '--warnings', 'off', '--color', '0', '--nodns', 'none', '--add-ca', ca];
  const env = { ...process.env, ...(data && { TESTSSL_INSTALL_DIR: data }) };
  const scan = async (...sections: string[]): Promise<Finding[]> => {
    const report = join(stack.directory, `testssl${sections.join('')}.json`);
    rmSync(report, { force: true });
    const target = ['--ip', '127.0.0.1', '--jsonfile', report, `${host}:${stack.httpsPort}`];
    const { code, stderr, stdout } = await attempt(program, [...sections, ...manner, ...target], { env });
    if (!existsSync(report)) throw new Error(`testssl.sh left no report (${code}):\n${stdout}\n${stderr}`);
    return JSON.parse(readFileSync(report, 'utf8'));
  };
  // Protocols, ciphers, forward secrecy · preference, certificate, headers, vulnerabilities; no simulated clients.
  const halves = await Promise.all([scan('-p', '-s', '-f'), scan('-P', '-S', '-h', '-U')]);
  return halves.flat();
}

async function haveTestssl(): Promise<{ program: string; data?: string }> {
  for (const program of ['testssl', 'testssl.sh']) {
    if ((await attempt(program, ['--version'])).code === 0) return { program };
  }
  const obstacle = whyNoPackages();
  if (obstacle)
    throw new Error(`testssl.sh is not installed, and can't be because ${obstacle}\nInstall testssl.sh 3.2`);
  await install(['bind9-host', 'bsdextrautils', 'openssl', 'procps']);
  const root = join(CACHE, `testssl-${TESTSSL_SUITE}`);
  await unpack(TESTSSL_SUITE, ['testssl.sh'], root);
  return { program: join(root, 'usr/bin/testssl'), data: join(root, 'etc/testssl') };
}

/** Mozilla's scanner, installed apart: its install script fetches lists from the internet, which are left empty. */
export function observatory(): Promise<string> {
  return installApart('observatory', partial => {
    const lists = join(partial, 'node_modules/@mdn/mdn-http-observatory/conf');
    writeFileSync(join(lists, 'hsts-preload.json'), '{}');
    writeFileSync(join(lists, 'tld-list.json'), '[]');
  });
}

/**
 * Installs the package that `test/tools/NAME` pins, apart from the repository's own, and keeps it between runs.
 *
 * @param finish adds what is missing, in the directory given, before anybody uses it
 * @returns the directory with its `node_modules`
 */
export async function installApart(name: string, finish = (_directory: string) => {}): Promise<string> {
  const source = join(import.meta.dirname, '../../tools', name);
  const { dependencies } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const [version] = Object.values(dependencies);
  const root = join(CACHE, `${name}-${version}`);
  if (existsSync(root)) return root;
  say(`Installing ${Object.keys(dependencies)} ${version}`);
  const partial = `${root}.${process.pid}`;
  mkdirSync(CACHE, { recursive: true });
  cpSync(source, partial, { recursive: true });
  await run('npm', ['ci', '--ignore-scripts'], { cwd: partial });
  finish(partial);
  if (existsSync(root)) rmSync(partial, { recursive: true });
  else renameSync(partial, root);
  return root;
}
