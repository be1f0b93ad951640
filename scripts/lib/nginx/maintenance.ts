/** The maintenance page, which Nginx shows to visitors as long as a file exists: nginx/snippets/maintenance.conf. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { refuseUnwritablePath, sync, writeWhole } from '../core/files.ts';
import { log } from '../core/log.ts';

const SWITCH = join(ROOT, 'nginx/maintenance/on');

export const isInMaintenance = (): boolean => existsSync(SWITCH);

/** @throws OperationalError when this user can't switch the page on and off */
export const refuseUnwritableSwitch = (): Promise<void> =>
  refuseUnwritablePath(dirname(SWITCH), 'switch the maintenance page on');

/** Switches the page on, so that it survives a power loss. It may be on already. */
export async function beginMaintenance(): Promise<void> {
  const before = isInMaintenance();
  if (!before) await writeWhole(SWITCH, '', 0o644);
  log.info(`maintenance page: on${before ? ' (it was on already)' : ''}`);
}

/** Switches the page off. @param stays whether an operator had switched it on before: then it stays */
export async function endMaintenance(stays: boolean): Promise<void> {
  if (stays) {
    log.info('maintenance page: still on; remove nginx/maintenance/on to switch it off');
    return;
  }
  await rm(SWITCH, { force: true });
  await sync(dirname(SWITCH));
  log.info('maintenance page: off');
}
