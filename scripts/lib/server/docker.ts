import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { missingPackages } from '../core/packages.ts';
import { hasProgram, sh } from '../core/shell.ts';
import { addRepository, distributionPackages, majorOf } from './docker-source.ts';
import { SOURCE } from './installed-files.ts';
import { installMissing } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

/** The least that the stack needs. */
const ENGINE = 25;
const COMPOSE = [2, 26] as const;
const FILE = 'etc/docker/daemon.json';
const UNITS = ['docker.service'];

type Settings = Record<string, unknown>;

/** Docker Engine and its plugin Compose, which start the containers with the server. */
export const docker: StepOf = () => ({
  name: 'docker',
  gives: 'Docker Engine 25 or newer and Compose 2.26 or newer, which start with the server',
  async look() {
    if (!hasProgram('docker'))
      return { found: 'no Docker', differences: ['Docker is not installed', ...settingDifferences()] };
    const [engine, compose] = [await version('Engine'), await version('Compose')];
    const differences = [...settingDifferences(), ...(await unitDifferences(UNITS))];
    if (engine && majorOf(engine) < ENGINE)
      differences.push(`Docker Engine is ${engine}, older than ${ENGINE}`);
    if (!compose) differences.push('the plugin Compose is not installed');
    else if (isOlder(compose)) differences.push(`Compose is ${compose}, older than ${COMPOSE.join('.')}`);
    return {
      found: `Docker Engine ${engine || 'that does not run'}, Compose ${compose || 'none'}`,
      differences,
    };
  },
  async mend() {
    const done = await writeSettings();
    const [engine, compose] = [await version('Engine'), await version('Compose')];
    if ((engine && majorOf(engine) < ENGINE) || (compose && isOlder(compose)))
      throw new OperationalError(
        `Docker Engine ${engine} with Compose ${compose || 'missing'} is too old, and to replace it stops its containers`,
        'in a quiet hour: apt-get remove docker-ce docker.io; images and volumes stay. Then run this again.',
      );
    if (!hasProgram('docker') || !compose) {
      await sh('read the lists of packages', { timeout: 300 })`apt-get -q update`;
      const isOwn = (await missingPackages(['docker-ce'])).length === 0;
      const packages = isOwn ? undefined : await distributionPackages();
      const from = packages ? { packages, done: [] } : await addRepository();
      done.push(...from.done, ...(await installMissing(from.packages)));
    } else if (done.length > 0 && engine) {
      await sh('let Docker read its settings')`systemctl reload docker.service`;
    }
    return [...done, ...(await startUnits(UNITS))];
  },
});

/** @returns the version of the engine that runs, or of the plugin; '' without it */
async function version(of: 'Engine' | 'Compose'): Promise<string> {
  if (!hasProgram('docker')) return '';
  const format = '{{.Server.Version}}';
  const text =
    of === 'Engine'
      ? await sh('ask for the version of Docker')`docker version --format ${format} 2>/dev/null || true`
      : await sh('ask for the version of Compose')`docker compose version --short 2>/dev/null || true`;
  return /\d[\w.+~-]*/.exec(text)?.[0] ?? '';
}

/** @returns whether a version of Compose is older than the stack needs; '' is */
export function isOlder(compose: string): boolean {
  const [major = 0, minor = 0] = (/^v?(\d+)\.(\d+)/.exec(compose)?.slice(1) ?? []).map(Number);
  return major < COMPOSE[0] || (major === COMPOSE[0] && minor < COMPOSE[1]);
}

const wanted = (): Settings => JSON.parse(readFileSync(join(SOURCE, FILE), 'utf8'));

/** The file is an operator's, too: only our settings in it count. */
function current(): Settings {
  if (!existsSync(`/${FILE}`)) return {};
  try {
    return JSON.parse(readFileSync(`/${FILE}`, 'utf8')) as Settings;
  } catch {
    throw new OperationalError(`/${FILE} is not JSON`, 'correct it: Docker does not start with it either.');
  }
}

function settingDifferences(): string[] {
  const is = current();
  return Object.entries(wanted()).flatMap(([name, value]) =>
    JSON.stringify(is[name]) === JSON.stringify(value)
      ? []
      : [`/${FILE} has ${name} ${JSON.stringify(is[name]) ?? 'not set'}, not ${JSON.stringify(value)}`],
  );
}

async function writeSettings(): Promise<string[]> {
  if (settingDifferences().length === 0) return [];
  await mkdir('/etc/docker', { recursive: true, mode: 0o755 });
  await writeWhole(`/${FILE}`, `${JSON.stringify({ ...current(), ...wanted() }, null, 2)}\n`, 0o644);
  return [`set ${Object.keys(wanted()).join(' and ')} in /${FILE}`];
}
