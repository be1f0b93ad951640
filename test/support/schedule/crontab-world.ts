/** A copy of the scripts beside a cron of its own, in a zone three quarters of an hour off, at a path that is hard to quote. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { createWorld, type World } from '../core/world.ts';
import { type PrivateCron, startPrivateCron } from './private-cron.ts';

/** Lines of others in a crontab, in bytes that are no UTF-8. */
export const OTHERS =
  'MAILTO=someone\n# caf\xe9 in latin1, \xc3\xa9 in UTF-8\n\n17 3 * * 1\ttrue  \nPATH=/usr/bin:/bin:/opt/ours\n';

export interface CrontabWorld {
  world: World;
  cron: PrivateCron;
  /** The directory of the copy. */
  copy: string;
  /** What the scripts of the copy read from their .env files. */
  settings: Record<string, string>;
  /** Writes the .env file that the scripts of the copy read. */
  configure: (environment: string, extra: Record<string, string>) => void;
  /** Runs schedule.ts of the copy. */
  schedule: (...args: string[]) => { code: number; stdout: string; stderr: string };
  /** The crontab, in latin1, so that each byte is a character. */
  crontab: () => string;
  install: (text: string) => void;
  stop: () => Promise<void>;
}

export async function createCrontabWorld(): Promise<CrontabWorld> {
  const cron = await startPrivateCron('Asia/Kathmandu');
  const world = await createWorld();
  const copy = join(world.directory, "it's 100% here");
  mkdirSync(copy);
  for (const name of ['scripts', 'package.json'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const { PATH: _, HOME: __, LOG_DIR: ___, S3_BUCKET: ____, ...settings } = world.env;
  return {
    world,
    cron,
    copy,
    settings: settings as Record<string, string>,
    configure: (environment, extra) => {
      const lines = Object.entries({ ...settings, ...extra }).map(([name, value]) => `${name}='${value}'\n`);
      writeFileSync(join(copy, `.env.${environment}`), lines.join(''));
    },
    schedule: (...args) => {
      const { code, stdout, stderr } = cron.run([join(copy, 'scripts/schedule.ts'), ...args]);
      return { code, stdout: `${stdout}`, stderr };
    },
    crontab: () => cron.run(['crontab', '-l']).stdout.toString('latin1'),
    install: text =>
      assert.is(cron.run(['crontab', '-'], Buffer.from(text, 'latin1') as unknown as string).code, 0),
    stop: async () => {
      await Promise.all([cron.stop(), world.stop()]);
    },
  };
}
