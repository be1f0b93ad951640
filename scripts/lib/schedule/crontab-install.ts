import { mkdirSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { Exit, OperationalError, usageError } from '../core/errors.ts';
import { PARTIAL, publish, writeWhole } from '../core/files.ts';
import { withLock } from '../core/lock.ts';
import { CRON_LOG, log } from '../core/log.ts';
import { findOldLines } from '../core/old-cron.ts';
import { CommandError, hasProgram, sh } from '../core/shell.ts';
import { block, withoutBlock } from './crontab-lines.ts';
import { jobsOf } from './jobs.ts';
import { readState } from './state.ts';
import { statusOf } from './status.ts';

/* A crontab can have any encoding: as latin1 each byte is one character, and is written back unchanged. */
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');
const textOf = (bytes: string) => Buffer.from(bytes, 'latin1').toString();

/** @returns the environment's lines, below `above` */
export function ownBlock(config: Config, above = ''): string {
  const { mailTo, logDir } = config;
  return block(
    config,
    { ...jobsOf(config), mailTo, log: join(logDir, CRON_LOG) },
    above,
    userInfo().username,
  );
}

/** Puts the environment's lines at the end of this user's crontab, replacing earlier ones. @returns whether it changed */
export async function installBlock(config: Config): Promise<boolean> {
  refuseDouble(config);
  await refuseOldLines();
  mkdirSync(config.logDir, { recursive: true, mode: 0o700 }); // a line does not run if its log can't be opened
  return change(config, others => {
    const above = others === '' || others.endsWith('\n') ? others : `${others}\n`;
    return above + bytesOf(ownBlock(config, textOf(above)));
  });
}

/** @throws OperationalError when a running scheduler, usually that of the backup service, has one of the jobs */
function refuseDouble(config: Config): void {
  const state = readState(config);
  if (!statusOf(state, new Date()).json.alive) return;
  const twice = jobsOf(config).jobs.filter(({ name }) => name in state!.jobs);
  if (twice.length === 0) return;
  const off = twice.map(({ name }) => `SCHEDULE_${name.toUpperCase().replace('-', '_')}=off`).join(' ');
  throw new OperationalError(
    `schedule.ts run already runs: ${twice.map(({ name }) => name).join(', ')}`,
    `stop it with \`docker compose stop backup\`, or install the other jobs: \`${off} ./scripts/schedule.ts install\`.`,
    Exit.locked,
  );
}

/** @throws a usage error that shows the lines of the old scripts, whose backup.sh deletes the new backups */
async function refuseOldLines(): Promise<void> {
  const old = await findOldLines();
  if (old.length === 0) return;
  const list = old.map(({ place, line }) => `\n  ${place}: ${line}`).join('');
  throw usageError(
    `cron still runs the scripts that this repository replaces; the old backup.sh deletes new backups:${list}`,
    'remove these lines, with `crontab -e` those of `crontab -l`: docs/SWITCH.md, step 2.',
  );
}

/** Removes the environment's lines from this user's crontab. @returns whether it changed */
export function removeBlock(config: Config): Promise<boolean> {
  return change(config, others => others);
}

/** @returns whether anything changed */
async function change(config: Config, to: (others: string) => string): Promise<boolean> {
  if (!hasProgram('crontab'))
    throw new OperationalError(
      'there is no crontab program here',
      'install cron (apt-get install cron), or let the backup service run the schedule: docs/RUNBOOK.md.',
    );
  const { stateDir } = config;
  // One lock for both environments: a user has one crontab.
  return withLock(stateDir, 'crontab', 'schedule.ts', async () => {
    const kept = join(stateDir, 'crontab.before');
    const before = await readInto(kept + PARTIAL);
    const after = to(withoutBlock(before, config));
    if (after === before) {
      await rm(kept + PARTIAL);
      return false;
    }
    await publish(kept);
    log.changesBegin();
    const wanted = join(stateDir, 'crontab.new');
    await writeWhole(wanted, Buffer.from(after, 'latin1'));
    try {
      await sh('install the crontab')`crontab ${wanted}`;
      if ((await readInto(wanted)) !== after)
        throw new OperationalError(
          'the crontab differs from what was installed',
          `another program changed it: see crontab -l; the previous crontab is in ${kept}.`,
        );
    } finally {
      await rm(wanted);
    }
    return true;
  });
}

/** Writes this user's crontab to a file. @returns its bytes as latin1; '' without a crontab */
async function readInto(path: string): Promise<string> {
  await using file = await open(path, 'w', 0o600);
  try {
    await sh('read the crontab', { stdout: file.fd, env: { LC_ALL: 'C' } })`crontab -l`;
  } catch (error) {
    if (!(error instanceof CommandError && /^no crontab for /m.test(error.stderr))) throw error;
  }
  return (await readFile(path)).toString('latin1');
}
