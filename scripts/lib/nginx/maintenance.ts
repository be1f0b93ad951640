import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { log } from '../core/log.ts';

const SWITCH = join(ROOT, 'nginx/maintenance/on');

/** Shows visitors the maintenance page while `work` runs. If an operator has switched it on before, it stays on. */
export async function withMaintenance<T>(work: () => Promise<T>): Promise<T> {
  const before = await writeFile(SWITCH, '', { flag: 'wx', mode: 0o644 }).then(
    () => false,
    error => {
      if (error.code === 'EEXIST') return true;
      throw error;
    },
  );
  log.info(`maintenance page: on${before ? ' (it was on already)' : ''}`);
  try {
    return await work();
  } finally {
    if (!before) await rm(SWITCH, { force: true });
    log.info(
      `maintenance page: ${before ? 'still on; remove nginx/maintenance/on to switch it off' : 'off'}`,
    );
  }
}
