/** Where Docker comes from: the distribution, if its version is new enough, else Docker's repository. */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { messageOf, OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { sh } from '../core/shell.ts';
import { fingerprints } from './openpgp.ts';

/** `start_interval` of a health check needs it. */
const ENGINE = 25;
/** https://docs.docker.com/engine/install/debian/ names it. */
const FINGERPRINT = '9DC858229FC7DD38854AE2D88D81803C0EBFCD88';
const REPOSITORY = 'https://download.docker.com/linux';
const KEY = '/etc/apt/keyrings/docker.asc';
const SOURCE = '/etc/apt/sources.list.d/docker.sources';

/** The names of the packages: Docker's own, Debian's, Ubuntu's. */
const OWN = ['docker-ce', 'docker-ce-cli', 'containerd.io', 'docker-compose-plugin', 'docker-buildx-plugin'];
const DEBIAN = ['docker.io', 'docker-cli', 'docker-compose', 'docker-buildx'];
const UBUNTU = ['docker.io', 'docker-compose-v2', 'docker-buildx'];

/** @returns the packages to install from the distribution; undefined where its Engine is too old, or it has no plugin for Compose */
export async function distributionPackages(): Promise<string[] | undefined> {
  for (const names of [UBUNTU, DEBIAN]) {
    const candidates = await candidatesOf(names);
    const compose = names.find(name => /compose/.test(name))!;
    if (majorOf(candidates.get('docker.io')) >= ENGINE && majorOf(candidates.get(compose)) >= 2)
      return names.filter(name => candidates.has(name)); // older releases have the client in docker.io
  }
  return undefined;
}

async function candidatesOf(names: string[]): Promise<Map<string, string>> {
  const text = await sh('ask apt for the versions of Docker', {
    env: { LC_ALL: 'C' },
  })`apt-cache policy ${names}`;
  return parsePolicy(text);
}

/** @returns the version that apt would install of each package of `apt-cache policy` */
export function parsePolicy(text: string): Map<string, string> {
  const entries = [...text.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (.*)$/gm)];
  return new Map(entries.flatMap(([, name, version]) => (version === '(none)' ? [] : [[name!, version!]])));
}

/** @returns the first number of a Debian version, after its epoch: 26 of `5:26.1.5+dfsg1-9`; 0 without one */
export const majorOf = (version = ''): number => Number(/^(?:\d+:)?(\d+)/.exec(version)?.[1] ?? 0);

/**
 * Adds Docker's repository to apt, with the key that signs it and no other.
 *
 * @param get reads an address
 * @returns the packages to install from it, and what was done
 * @throws OperationalError where the key can't be read or is another one
 */
export async function addRepository(get = download): Promise<{ packages: string[]; done: string[] }> {
  const { id, codename } = distribution();
  const key = await get(`${REPOSITORY}/${id}/gpg`);
  refuseOtherKey(key);
  await mkdir('/etc/apt/keyrings', { recursive: true, mode: 0o755 });
  await writeWhole(KEY, key, 0o644);
  const lines = [
    `Types: deb`,
    `URIs: ${REPOSITORY}/${id}`,
    `Suites: ${codename}`,
    'Components: stable',
    `Signed-By: ${KEY}`,
  ];
  await writeWhole(SOURCE, `${lines.join('\n')}\n`, 0o644);
  await sh('read the list of Docker’s repository', { timeout: 300 })`apt-get -q update`;
  return { packages: OWN, done: [`added ${REPOSITORY}/${id}, signed by ${FINGERPRINT}`] };
}

/** @throws OperationalError where a file has another key than Docker's, or more than that one */
export function refuseOtherKey(armored: string): void {
  let found: string[];
  try {
    found = fingerprints(armored);
  } catch (error) {
    found = [messageOf(error)];
  }
  if (found.length === 1 && found[0] === FINGERPRINT) return;
  throw new OperationalError(
    `the key of Docker’s repository is not the one of Docker (${found.join(', ')})`,
    `expected is ${FINGERPRINT}; is there a proxy that answers for download.docker.com?`,
  );
}

/** @returns what /etc/os-release says: `debian` and `bookworm` */
function distribution(): { id: string; codename: string } {
  const text = readFileSync('/etc/os-release', 'utf8');
  const of = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: of('ID') === 'ubuntu' ? 'ubuntu' : 'debian', codename: of('VERSION_CODENAME') };
}

async function download(address: string): Promise<string> {
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(30_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.text();
  } catch (error) {
    const { cause } = error as Error;
    throw new OperationalError(
      `can't read ${address}: ${messageOf(cause ?? error)}`,
      'the Docker of this distribution is too old: let this server reach that address, or install Docker Engine 25 or newer.',
    );
  }
}
