import { planBackup } from '../backup/plan.ts';
import type { Config, Images } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { freeSpace } from '../core/files.ts';
import { enoughSpace, preflight } from '../core/preflight.ts';
import { run } from '../core/shell.ts';
import { containerOf, imageId, inspect, projectOf } from '../docker/containers.ts';
import { findRemote, pull, type Remote, shortName, TAG } from '../docker/images.ts';
import { criticalLines } from '../health/critical.ts';
import { type Pending, pendingMigrations } from '../migrations/pending.ts';
import { changedSinceLoad, nginxTimes, testNginx } from '../nginx/reload.ts';
import { type ServerLine, serviceOf, servingLine, wantedBackends } from '../nginx/upstreams.ts';
import { nextBackends, roomInMemory } from './capacity.ts';
import { isFit } from './instance.ts';

/** What a deployment would do, after looking whether it could. */
export interface Plan {
  /** What the release is called: its tag, or for a digest the version that its image is labelled with. */
  release: string;
  images: Images;
  previous: Images;
  servers: ServerLine[];
  surge: string | null;
  migrations: Pending[];
  /** Lines of health-check.ts that are critical now; a new one is a reason to go back. */
  unwell: string[];
  /** Things to know that stop nothing. */
  notes: string[];
}

/** An unpacked layer takes about three times what it does on its way. */
const UNPACKED = 3;

/**
 * Looks at everything that a deployment needs. Nothing of the stack is changed; the backend's image is pulled, since its
 * migrations are read from it.
 *
 * @throws one error that lists all that is wrong
 */
export async function planDeployment(
  config: Config,
  wanted: Images,
  options: { surge: boolean; backup: boolean },
): Promise<Plan> {
  const notes: string[] = [];
  const [backend, frontend, previous, servers, unwell, changed] = await preflight(
    () => findRemote(wanted.backend),
    () => findRemote(wanted.frontend),
    () => runningImages(config),
    () => fitServers(config, notes),
    () => criticalLines(config),
    () => changedSinceLoad(config),
    () => testNginx(config),
    async () => nginxTimes(),
    () => refuseOpenPorts(config),
    async () => void (options.backup && (await planBackup(config, config.format))),
  );
  if (changed.length > 0)
    notes.push(`Nginx will load what was changed since it last did: ${changed.join(', ')}`);
  const images = { backend: backend.pinned, frontend: frontend.pinned };
  const surge = options.surge ? nextBackends(servers.map(serviceOf), 1)[0]! : null;
  const newFrontend = images.frontend !== previous.frontend;
  const [migrations] = await preflight(
    async () => {
      await roomForImages([backend, frontend]);
      await pull(images.backend);
      const pending = await pendingMigrations(config, images.backend);
      if (!pending)
        notes.push(`the image has no directory ${config.deploy.migrationsDir}: no migrations are looked for`);
      if (pending && pending.length > 0 && !config.migrate)
        throw new OperationalError(
          'there are migrations, and nothing to apply them with',
          'set MIGRATE_COMMAND.',
        );
      return pending ?? [];
    },
    () => roomInMemory(config, [...(surge ? [surge] : []), ...(newFrontend ? ['frontend-2'] : [])]),
  );
  if (unwell.length > 0)
    notes.push(`critical now, which ./scripts/health-check.ts explains: ${unwell.join(', ')}`);
  const release = await releaseName(wanted.backend, images.backend);
  return { release, images, previous, servers, surge, migrations, unwell, notes };
}

async function releaseName(wanted: string, pinned: string): Promise<string> {
  const [, tag] = /:([^/:@]+)$/.exec(wanted) ?? [];
  if (tag && !wanted.includes('@')) return tag;
  const label = '{{index .Config.Labels "org.opencontainers.image.version"}}';
  const argv = ['docker', 'image', 'inspect', '--format', label, pinned];
  const version = (await run(argv, { purpose: `read the version of ${pinned}` })).trim();
  return TAG.test(version) ? version : pinned.replace(/^.*@(sha256:[0-9a-f]{12}).*/, '$1');
}

/** @returns the images that the stack runs now, by names that will still mean them later */
export async function runningImages(config: Config): Promise<Images> {
  const of = async (service: string) => {
    const container = await inspect(config, service);
    if (!container) {
      throw new OperationalError(
        `there is no container ${containerOf(config, service)}`,
        `start the stack: docker compose -f docker-compose.${config.environment}.yml --env-file .env.${config.environment} up -d --wait`,
      );
    }
    // A tag may have moved on since.
    return (await imageId(container.image)) === container.imageId ? container.image : container.imageId;
  };
  return { backend: await of(serviceOf(await servingLine('backend'))), frontend: await of('frontend') };
}

async function fitServers(config: Config, notes: string[]): Promise<ServerLine[]> {
  const servers = await wantedBackends();
  const unfit = [];
  for (const line of servers) if (!(await isFit(config, serviceOf(line)))) unfit.push(serviceOf(line));
  if (unfit.length > 0) notes.push(`not ready now, replaced first: ${unfit.join(', ')}`);
  if (unfit.length < servers.length) return servers;
  throw new OperationalError('no backend is ready now', './scripts/health-check.ts says what is wrong.');
}

/** A published port is open to the world, whatever the firewall says. */
async function refuseOpenPorts(config: Config): Promise<void> {
  const project = `label=com.docker.compose.project=${projectOf(config)}`;
  const argv = ['docker', 'ps', '--filter', project, '--format', '{{.Names}} {{.Ports}}'];
  const open = (await run(argv, { purpose: 'list published ports' }))
    .split('\n')
    .filter(line => !line.startsWith(`${containerOf(config, 'nginx')} `))
    .filter(line => /(0\.0\.0\.0|\[::\]):\d+->/.test(line));
  if (open.length === 0) return;
  throw new OperationalError(
    `open to the world: ${open.join('; ')}`,
    'publish no port but Nginx’s, or on 127.0.0.1 only; Docker’s rules pass the firewall.',
  );
}

async function roomForImages(remotes: Remote[]): Promise<void> {
  const missing: number[] = [];
  for (const { pinned, bytes } of remotes) missing.push((await imageId(pinned)) ? 0 : bytes);
  const needed = missing.reduce((sum, each) => sum + each, 0) * UNPACKED;
  const root = (
    await run(['docker', 'info', '--format', '{{.DockerRootDir}}'], { purpose: 'find Docker’s disk' })
  ).trim();
  enoughSpace(`Docker’s disk (${root})`, await freeSpace(root), needed);
}

/** @returns the plan for people, a line each */
export function describePlan({ images, previous, servers, surge, migrations, notes }: Plan): string[] {
  const findings = migrations.flatMap(({ name, findings: found }) => [
    `migration ${name}: ${found.length === 0 ? 'expands only' : ''}`,
    ...found.map(
      ({ kind, what, sql }) => `  ${kind === 'contracts' ? 'no way back' : 'blocks'}: ${what}: ${sql}`,
    ),
  ]);
  const change = (from: string, to: string) =>
    from === to ? `${shortName(to)} (as now)` : `${shortName(from)} → ${shortName(to)}`;
  return [
    `backend   ${change(previous.backend, images.backend)}`,
    `frontend  ${change(previous.frontend, images.frontend)}`,
    `instances ${servers.map(serviceOf).join(', ')}${surge ? `, and ${surge} meanwhile` : ''}`,
    ...(migrations.length === 0 ? ['migrations none pending'] : findings),
    ...notes.map(note => `note: ${note}`),
  ];
}
