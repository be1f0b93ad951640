/** `schedule.ts run` as a process, with a clock that stands still until the scheduler shows what turns it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gateAt, untilNoProcess } from '../backup/faults.ts';
import { createClock, type Turn } from '../core/clock.ts';
import { createWorld, type Started } from '../core/world.ts';
import { startReceiver } from '../notify/receiver.ts';

export const RUNS = 'the schedule of production runs';

export async function createScheduleWorld() {
  const world = await createWorld();
  await world.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
  const webhook = await startReceiver();

  let tests = 0;

  /** One test's directories and clock, which stands still until the scheduler shows what turns it. */
  function fresh(at: string, ...turns: Turn[]) {
    const own = join(world.directory, `test-${++tests}`);
    const clock = createClock(join(world.directory, `clock-${tests}`), at, turns);
    Object.assign(world.env, {
      BACKUP_DIR: join(own, 'backups'),
      LOG_DIR: join(own, 'logs'),
      STATE_DIR: join(own, 'state'),
      S3_BUCKET: '',
      SCHEDULE_BACKUP: '0 2 * * *',
      SCHEDULE_HEALTH_CHECK: 'off',
      SCHEDULE_DRILL: 'off',
      SCHEDULE_CERTIFICATES: 'off',
      SCHEDULE_LOAD_CHECK: 'off',
      SCHEDULE_WEEKLY: 'off',
      WEBHOOK_URL: webhook.url,
      ...clock.env,
    });
    webhook.received.length = 0;
    return {
      ...clock,
      state: () => JSON.parse(readFileSync(join(own, 'state/production.schedule.json'), 'utf8')),
      backups: () => readdirSync(join(own, 'backups')).filter(name => name.endsWith('.json')).length,
    };
  }

  const told = () => webhook.received.map(({ body }) => JSON.parse(body));

  /** Runs the scheduler during `body`. @returns how it ended */
  async function running(
    env: Record<string, string>,
    body: (scheduler: Started) => Promise<void>,
    signal: NodeJS.Signals = 'SIGTERM',
  ) {
    const scheduler = world.start('schedule', ['run'], env);
    try {
      await scheduler.shows(new RegExp(RUNS));
      await body(scheduler);
      scheduler.child.kill(signal);
      return await scheduler.ended;
    } finally {
      scheduler.child.kill('SIGKILL');
      await untilNoProcess(world);
    }
  }

  const duringDump = () => gateAt(world, { program: 'gzip', args: '^-5' });

  const stop = async () => {
    await Promise.all([webhook.stop(), world.stop()]);
  };
  return { world, fresh, told, running, duringDump, stop };
}
