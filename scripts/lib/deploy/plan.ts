import { planBackup } from '../backup/plan.ts';
import { refuseWrongEnvFiles } from '../config/application.ts';
import type { Config, Images } from '../config/config.ts';
import { refuseUnwritable } from '../config/env-file.ts';
import { OperationalError } from '../core/errors.ts';
import { preflight } from '../core/preflight.ts';
import { sh } from '../core/shell.ts';
import { containerOf, inspect, projectOf } from '../docker/containers.ts';
import { isTag, lastingName, pull, shortName, versionOf } from '../docker/images.ts';
import { forgottenData } from '../docker/old-stack.ts';
import { findRemote } from '../docker/registry.ts';
import { criticalChecks } from '../health/all-checks.ts';
import { checkHooks, type HookName } from '../hooks/hooks.ts';
import { refuseFailed } from '../migrations/failed.ts';
import { type Pending, pendingMigrations } from '../migrations/pending.ts';
import type { Risk } from '../migrations/risk.ts';
import { changedSinceLoad, nginxTimes, testNginx } from '../nginx/reload.ts';
import { refuseOutdatedSettings } from '../nginx/settings.ts';
import {
  refuseUnwritableLists,
  type ServerLine,
  serviceOf,
  servingLine,
  wantedBackends,
} from '../nginx/upstreams.ts';
import { nextBackends, roomForImages, roomInMemory } from './capacity.ts';
import { unkept } from './contract.ts';
import { isReady } from './instance.ts';
import { refuseUnwritableReleases } from './releases.ts';
import { refuseOnlyOne } from './rolling-update.ts';

/** What a deployment is going to do. */
export interface Plan {
  /** Its name: the tag, or for a digest the version in the image's label. */
  release: string;
  images: Images;
  previous: Images;
  servers: ServerLine[];
  surge: string | null;
  migrations: Pending[];
  /** What health-check.ts finds critical now. */
  criticalBefore: string[];
  /** What of the application contract its images do not keep. */
  contract: string[];
  /** Findings that do not prevent it. */
  notes: string[];
}

const HOOKS: HookName[] = ['pre-deploy', 'post-deploy', 'post-rollback', 'on-alert'];
const BACKUP_HOOKS: HookName[] = ['pre-backup', 'post-backup'];

/**
 * Checks everything that a deployment needs. It changes nothing of the stack; it pulls the backend's image to read its
 * migrations.
 *
 * @throws OperationalError that lists everything that is wrong
 */
export async function planDeployment(
  config: Config,
  wanted: Images,
  options: { surge: boolean; backup: boolean },
): Promise<Plan> {
  const notes: string[] = [];
  const [, backend, frontend, previous, servers, criticalBefore, changed] = await preflight(
    () => refuseWrongEnvFiles(config),
    () => findRemote(wanted.backend),
    () => findRemote(wanted.frontend),
    () => runningImages(config),
    () => readyServers(config, notes),
    () => criticalChecks(config),
    () => changedSinceLoad(config),
    () => testNginx(config),
    () => refuseOutdatedSettings(config),
    async () => nginxTimes(),
    () => refuseFailed(config, versionOf(wanted.backend)),
    () => refuseUnwritable(config.envFile), // the images are written at the end
    () => refuseUnwritableLists(),
    () => refuseUnwritableReleases(config),
    () => refuseOpenPorts(config),
    () => refuseForgottenData(config),
    async () => checkHooks(config, options.backup ? [...HOOKS, ...BACKUP_HOOKS] : HOOKS),
    async () => void (options.backup && (await planBackup(config, config.format))),
  );
  if (changed.length > 0)
    notes.push(`Nginx will load files that changed since its last reload: ${changed.join(', ')}`);
  const images = { backend: backend.pinned, frontend: frontend.pinned };
  const surge = options.surge ? nextBackends(servers.map(serviceOf), 1)[0]! : null;
  const newFrontend = images.frontend !== previous.frontend;
  const [[migrations, contract]] = await preflight(
    async () => {
      await roomForImages([backend, frontend]);
      await pull(images.backend);
      return preflight(
        () => migrationsOf(config, images.backend, notes),
        () => unkept(config, images.backend, frontend.platform),
      );
    },
    async () => refuseOnlyOne(servers, previous, images, surge),
    () => roomInMemory(config, [...(surge ? [surge] : []), ...(newFrontend ? ['frontend-2'] : [])]),
  );
  if (criticalBefore.length > 0)
    notes.push(`critical now (./scripts/health-check.ts explains it): ${criticalBefore.join(', ')}`);
  const release = await releaseName(wanted.backend, images.backend);
  return { release, images, previous, servers, surge, migrations, criticalBefore, contract, notes };
}

async function migrationsOf(config: Config, backend: string, notes: string[]): Promise<Pending[]> {
  const pending = await pendingMigrations(config, backend);
  if (!pending) notes.push(`the image has no directory ${config.deploy.migrationsDir}: nothing is migrated`);
  if (pending && pending.length > 0 && !config.migrate)
    throw new OperationalError(
      'there are pending migrations, and MIGRATE_COMMAND is not set',
      'set it, for example to `npx prisma migrate deploy`.',
    );
  return pending ?? [];
}

async function releaseName(wanted: string, pinned: string): Promise<string> {
  const [, tag] = /:([^/:@]+)$/.exec(wanted) ?? [];
  if (tag && !wanted.includes('@')) return tag;
  const label = '{{index .Config.Labels "org.opencontainers.image.version"}}';
  const version = await sh(`read the version of ${pinned}`)`docker image inspect --format ${label} ${pinned}`;
  return isTag(version) ? version : pinned.replace(/^.*@(sha256:[0-9a-f]{12}).*/, '$1');
}

/**
 * @returns the images that the stack runs now, each by a name that stays valid
 * @throws OperationalError when a container is missing
 */
export async function runningImages(config: Config): Promise<Images> {
  const of = async (service: string) => {
    const container = await inspect(config, service);
    if (!container) {
      throw new OperationalError(
        `there is no container ${containerOf(config, service)}`,
        'start the stack: docker compose up -d --wait',
      );
    }
    return lastingName(container);
  };
  return { backend: await of(serviceOf(servingLine('backend'))), frontend: await of('frontend') };
}

async function readyServers(config: Config, notes: string[]): Promise<ServerLine[]> {
  const servers = wantedBackends();
  const ready = await Promise.all(servers.map(line => isReady(config, serviceOf(line))));
  const failed = servers.map(serviceOf).filter((_, index) => !ready[index]);
  if (failed.length > 0) notes.push(`not ready now, replaced first: ${failed.join(', ')}`);
  if (failed.length < servers.length) return servers;
  throw new OperationalError('no backend is ready now', './scripts/health-check.ts explains why.');
}

/** Docker's rules come before the firewall's: https://docs.docker.com/engine/network/packet-filtering-firewalls/ */
async function refuseOpenPorts(config: Config): Promise<void> {
  const project = `label=com.docker.compose.project=${projectOf(config)}`;
  const list = sh('list published ports');
  const open = (await list`docker ps --filter ${project} --format ${'{{.Names}} {{.Ports}}'}`)
    .split('\n')
    .filter(line => !line.startsWith(`${containerOf(config, 'nginx')} `))
    .filter(line => /(0\.0\.0\.0|\[::\]):\d+->/.test(line));
  if (open.length === 0) return;
  throw new OperationalError(
    `ports open to every network: ${open.join('; ')}`,
    'publish only Nginx’s ports, or on 127.0.0.1; Docker’s rules bypass the firewall.',
  );
}

/** Its migrations would make an empty database look like the one that is missing. */
async function refuseForgottenData(config: Config): Promise<void> {
  const wrong = await forgottenData(config);
  if (wrong) throw new OperationalError(wrong, 'move it first: docs/SWITCH.md, from step 3 on.');
}

/** @returns the plan as lines of text */
export function describePlan({
  images,
  previous,
  servers,
  surge,
  migrations,
  contract,
  notes,
}: Plan): string[] {
  const findings = migrations.flatMap(({ name, findings: found }) => [
    `migration ${name}:${found.length === 0 ? ' harmless to the previous release' : ''}`,
    ...found.map(risk => `  ${effectOf(risk)}: ${risk.what}: ${risk.sql}`),
  ]);
  const change = (from: string, to: string) =>
    from === to ? `${shortName(to)} (unchanged)` : `${shortName(from)} → ${shortName(to)}`;
  return [
    `backend   ${change(previous.backend, images.backend)}`,
    `frontend  ${change(previous.frontend, images.frontend)}`,
    `instances ${servers.map(serviceOf).join(', ')}${surge ? `, and ${surge} during the deployment` : ''}`,
    ...(contract.length === 0 ? ['the images keep it'] : contract).map(
      (text, index) => `${index === 0 ? 'contract' : ''}`.padEnd(10) + text,
    ),
    ...(migrations.length === 0 ? ['migrations none pending'] : findings),
    ...notes.map(note => `note: ${note}`),
  ];
}

const effectOf = ({ kind, accepted }: Risk): string =>
  kind === 'blocks' ? 'blocks' : accepted ? `accepted (${accepted})` : 'no rollback';
