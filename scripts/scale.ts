#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { refuseWrongEnvFiles } from './lib/config/application.ts';
import type { Config } from './lib/config/config.ts';
import { Exit, usageError } from './lib/core/errors.ts';
import { withLockUnless } from './lib/core/lock.ts';
import { log, logTo } from './lib/core/log.ts';
import { preflight } from './lib/core/preflight.ts';
import { deferSignals } from './lib/core/signals.ts';
import { nextBackends, roomInMemory } from './lib/deploy/capacity.ts';
import { addInstance } from './lib/deploy/instance.ts';
import { refuseUnfinished } from './lib/deploy/journal.ts';
import { retire } from './lib/deploy/rolling-update.ts';
import { pull } from './lib/docker/images.ts';
import { nginxTimes, testNginx } from './lib/nginx/reload.ts';
import { refuseOutdatedSettings } from './lib/nginx/settings.ts';
import {
  isDown,
  lineFor,
  readUpstream,
  refuseUnwritableLists,
  type ServerLine,
  serviceOf,
} from './lib/nginx/upstreams.ts';
import { refuseUnfinishedRotation } from './lib/secrets/rotation-journal.ts';

export const scale = command({
  summary: 'Run two to eight backend instances, without losing a request.',
  usage: ['N [--env production|staging] [--dry-run] [--json]'],
  details:
    'The number is the number of lines in nginx/upstreams/backend.conf: later deployments and reboots keep it.',
  options: { 'dry-run': { type: 'boolean', help: 'show what would be started or stopped' } },
  examples: [
    ['scale.ts 4', 'start two more'],
    ['scale.ts 2 --env staging', 'stop all but two'],
  ],
  exitCodes: [
    [Exit.done, 'the requested number is serving'],
    [
      Exit.failed,
      'an instance did not become ready, or there is too little memory; the earlier instances still serve',
    ],
    [Exit.usage, 'wrong number, flags or configuration'],
    [Exit.locked, 'another run holds the lock'],
  ],
  positionals: 1,
  changesState: true,
  async run({ options, positionals: [wanted = ''], config: load }) {
    if (!/^[2-8]$/.test(wanted))
      throw usageError('the number of instances is missing or wrong', 'give a number from 2 to 8.');
    const config = load();
    const looking = options['dry-run'];
    logTo(`${config.logDir}/deploy.log`, looking);
    return withLockUnless(looking, config.stateDir, config.environment, 'scale.ts', async () => {
      refuseUnfinished(config);
      refuseUnfinishedRotation(config);
      const servers = readUpstream('backend');
      const more = Number(wanted) - servers.length;
      const names = servers.map(serviceOf);
      const added = more > 0 ? nextBackends(names, more) : [];
      // The highest numbers stop: the first two are those that `docker compose up` starts.
      const removed = more < 0 ? names.toSorted().slice(more) : [];
      await preflight(
        () => refuseWrongEnvFiles(config),
        () => testNginx(config),
        () => refuseOutdatedSettings(config),
        async () => nginxTimes(),
        () => refuseUnwritableLists(),
        () => roomInMemory(config, added),
        async () =>
          void (added.length > 0 && !looking && config.images && (await pull(config.images.backend))),
      );
      const changes =
        [...added.map(name => `+ ${name}`), ...removed.map(name => `− ${name}`)].join(', ') || 'no change';
      if (options['dry-run'])
        return { text: `would run ${wanted}: ${changes}`, json: { dryRun: true, added, removed } };
      log.changesBegin();
      await deferSignals(() => change(config, servers, added, removed));
      const idle = servers
        .filter(isDown)
        .map(serviceOf)
        .filter(name => !removed.includes(name));
      const serve = idle.length === 0 ? wanted : `${Number(wanted) - idle.length} of ${wanted}`;
      const until = idle.map(name => `; ${name} stays marked down until the next deployment`).join('');
      return {
        text: `${serve} instances serve: ${changes}${until}`,
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
