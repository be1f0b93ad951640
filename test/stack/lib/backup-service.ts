/** The backup service beside a PostgreSQL server, with an object store that it reaches: for the short and the long test. */
import { appendFileSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { startThrowawayS3 } from '../../../scripts/lib/drill/throwaway-s3.ts';
import { ensureEngine } from '../../engine/engine.ts';
import { ensureImages } from '../../images/images.ts';
import { layOut, officialImages, ROOT } from './stack.ts';

/** What `schedule.ts run` keeps, as far as the tests look at it. */
export interface ScheduleState {
  heartbeat: string;
  jobs: Record<string, { expression: string; due: string; finished?: string; exitCode?: number }>;
}

export async function layOutBackupService(schedule: string) {
  const node = /^FROM (\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))![1]!;
  await ensureImages(await ensureEngine(), [...officialImages(), node]);
  const stack = await layOut('production', {
    SCHEDULE_BACKUP: schedule,
    SCHEDULE_DRILL: 'off',
    SCHEDULE_CERTIFICATES: 'off',
    SCHEDULE_LOAD_CHECK: 'off',
    SCHEDULE_WEEKLY: 'off',
  });
  for (const name of ['backups', 'logs', 'state']) chownSync(join(stack.directory, name), 1000, 1000);
  stack.atExit(['image', 'rm', '--force', `${stack.app}-production-backup`]);
  await Promise.all([
    stack.compose('build', '--quiet', 'backup'),
    stack.compose('up', '--detach', '--wait', '--wait-timeout', '180', 'postgres'),
  ]);
  await stack.compose('create', 'backup');

  // The service reaches this process by the gateway of its own network.
  const format = '{{(index .IPAM.Config 0).Gateway}}';
  const network = ['network', 'inspect', '--format', format, `${stack.app}-production_egress`];
  const s3 = await startThrowawayS3('bucket', (await stack.docker(...network)).trim());
  const lines = Object.entries(s3.env).map(([name, value]) => `${name}='${value}'\n`);
  appendFileSync(join(stack.directory, '.env.production'), lines.join(''));

  const container = stack.container('backup');
  const stateFile = join(stack.directory, 'state/production.schedule.json');
  const inspect = async (format: string) =>
    (await stack.docker('inspect', '--format', format, container)).trim();
  return {
    stack,
    s3,
    inspect,
    /** Runs a command in a container of its own. */
    once: (...command: string[]) => stack.compose('run', '--rm', '--no-deps', 'backup', ...command),
    /** Runs a command in the service's container. @returns its output */
    async inside(...command: string[]): Promise<string> {
      const { code, stdout, stderr } = await stack.exec('backup', ...command);
      assert.is(code, 0, stderr);
      return stdout.trim();
    },
    /** Manifests on the server. */
    manifests: () => readdirSync(join(stack.directory, 'backups')).filter(name => name.endsWith('.json')),
    state: (): ScheduleState => JSON.parse(readFileSync(stateFile, 'utf8')),
    setState(state: ScheduleState): void {
      writeFileSync(stateFile, JSON.stringify(state));
      chownSync(stateFile, 1000, 1000);
    },
    /** Sends a signal to the scheduler and the launcher that it runs under, not to `init`. */
    async signal(name: string): Promise<void> {
      const mine = String.raw`tr '\0' ' ' <$p/cmdline | grep -q '^[^ ]*/node .*schedule.ts run'`;
      const script = `for p in /proc/[0-9]*; do ${mine} && kill -${name} $(basename $p) && echo $p; done; true`;
      const { stdout, stderr } = await stack.exec('backup', 'bash', '-c', script);
      assert.match(stdout, /^\/proc\/\d+$/m, stderr);
    },
  };
}
