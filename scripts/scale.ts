#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLock } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { preflight } from './lib/core/preflight.ts';
import { deferSignals } from './lib/core/signals.ts';
import { nextBackends, roomInMemory } from './lib/deploy/capacity.ts';
import { addInstance } from './lib/deploy/instance.ts';
import { refuseUnfinished } from './lib/deploy/releases.ts';
import { retire } from './lib/deploy/rolling-update.ts';
import { nginxTimes, testNginx } from './lib/nginx/reload.ts';
import { isDown, lineFor, readUpstream, type ServerLine, serviceOf } from './lib/nginx/upstreams.ts';

export const scale = command({
  summary: 'Run two to eight backend instances, without losing a request on the way.',
  usage: ['N [--env production|staging] [--dry-run] [--json]'],
  details:
    'The number is that of the lines in nginx/upstreams/backend.conf, so it holds for later deployments; instances that run\n' +
    'come back after a reboot.',
  options: { 'dry-run': { type: 'boolean', help: 'say what would be started or stopped' } },
  examples: [
    ['scale.ts 4', 'two more'],
    ['scale.ts 2 --env staging', 'back to two'],
  ],
  exitCodes: [
    [Exit.done, 'so many run and serve'],
    [Exit.failed, 'an instance did not become ready, or memory does not suffice; those before serve'],
    [Exit.usage, 'wrong number, flags or configuration'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals: [wanted = ''], config: load }) {
    if (!/^[2-8]$/.test(wanted)) throw usageError('scale to how many?', 'give a number from 2 to 8.');
    const config = load();
    logTo(`${config.logDir}/deploy.log`);
    return withLock(config.stateDir, config.environment, 'scale.ts', async () => {
      await refuseUnfinished(config);
      const servers = await readUpstream('backend');
      const more = Number(wanted) - servers.length;
      const names = servers.map(serviceOf);
      const added = more > 0 ? nextBackends(names, more) : [];
      // The highest numbers go: the first two are the ones that `up` starts.
      const removed = more < 0 ? names.toSorted().slice(more) : [];
      await preflight(
        () => testNginx(config),
        async () => nginxTimes(),
        () => roomInMemory(config, added),
      );
      const said =
        [...added.map(name => `+ ${name}`), ...removed.map(name => `− ${name}`)].join(', ') || 'no change';
      if (options['dry-run'])
        return { text: `would run ${wanted}: ${said}`, json: { dryRun: true, added, removed } };
      log.changesBegin();
      await deferSignals(() => change(config, servers, added, removed));
      const idle = servers
        .filter(isDown)
        .map(serviceOf)
        .filter(name => !removed.includes(name));
      const serve = idle.length === 0 ? wanted : `${Number(wanted) - idle.length} of ${wanted}`;
      const until = idle.map(name => `; ${name} stays marked down until the next deployment`).join('');
      return {
        text: `${serve} instances serve: ${said}${until}`,
        json: { instances: Number(wanted), added, removed, down: idle },
      };
    });
  },
});

async function change(
  config: Config,
  servers: ServerLine[],
  added: string[],
  removed: string[],
): Promise<void> {
  try {
    for (const service of added) await addInstance(config, service);
  } catch (error) {
    await retire(config, servers, added);
    throw error;
  }
  const rest = servers.filter(line => !removed.includes(serviceOf(line)));
  const list = [...rest, ...added.map(service => lineFor(service, servers[0]!))];
  await retire(config, list, removed);
}

if (import.meta.main) await execute(scale);
