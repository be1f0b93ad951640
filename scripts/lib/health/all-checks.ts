import type { Config } from '../config/config.ts';
import type { Check } from './check.ts';
import { backends } from './checks/backends.ts';
import { backupHere, backupInS3 } from './checks/backup.ts';
import { backupLoaded } from './checks/backup-loaded.ts';
import { certificate } from './checks/certificate.ts';
import { clock } from './checks/clock.ts';
import { configuration } from './checks/configuration.ts';
import { containers } from './checks/containers.ts';
import { contract } from './checks/contract.ts';
import { disk } from './checks/disk.ts';
import { leftovers } from './checks/leftovers.ts';
import { memory } from './checks/memory.ts';
import { oldInstallation } from './checks/old-installation.ts';
import { postgres } from './checks/postgres.ts';
import { api, frontend } from './checks/public.ts';
import { redis } from './checks/redis.ts';
import { confirmed } from './confirm.ts';
import { listContainers } from './docker.ts';
import { memoize, runChecks } from './runner.ts';

/** @returns the checks in the order of the report's lines */
export function allChecks(config: Config): Check[] {
  const list = memoize(() => listContainers(config));
  return [
    api(config),
    frontend(config),
    ...backends(config, list),
    postgres(config),
    redis(config),
    containers(config, list),
    configuration(config),
    contract(config, list),
    certificate(config),
    backupHere(config),
    backupInS3(config),
    backupLoaded(config),
    disk(config),
    leftovers(config),
    oldInstallation(config),
    memory(),
    clock(config),
  ];
}

/** The pages of what a release can break. Backups, disks and clocks are not among them, and are slow to check. */
const RELEASE_PAGES = new Set(
  'api frontend backend versions postgres redis containers certificate'.split(' '),
);

/**
 * Looks several times before it believes a critical check, see {@link confirmed}: up to 17 s longer if one is.
 *
 * @param known what was critical before, as this function returned it, and does not count
 * @returns the faults of the stack that are critical now, each as `name (message)`
 */
export function criticalChecks(config: Config, known?: string[]): Promise<string[]> {
  const look = async () => {
    const checks = allChecks(config).filter(({ name, page = name }) => RELEASE_PAGES.has(page));
    return (await runChecks(checks))
      .filter(({ status }) => status === 'critical')
      .flatMap(({ name, message, faults = [message] }) => faults.map(fault => `${name} (${fault})`));
  };
  return confirmed(look, known);
}
