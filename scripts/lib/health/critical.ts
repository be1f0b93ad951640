import { checksOf } from '../../health-check.ts';
import type { Config } from '../config/config.ts';
import { runChecks } from './runner.ts';

/** What has to do with a release. Backups, disks and clocks do not, and need time to be looked at. */
const VITAL = new Set([
  'api',
  'frontend',
  'backend',
  'versions',
  'postgres',
  'redis',
  'containers',
  'certificate',
]);

/** @returns the lines of health-check.ts on the stack itself that are critical */
export async function criticalLines(config: Config): Promise<string[]> {
  const vital = checksOf(config).filter(({ name, page = name }) => VITAL.has(page));
  const results = await runChecks(vital);
  return results
    .filter(({ status }) => status === 'critical')
    .map(({ name, message }) => `${name} (${message})`);
}
