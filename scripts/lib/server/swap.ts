import { existsSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { OperationalError } from '../core/errors.ts';
import { bytes } from '../core/format.ts';
import { diskOf } from '../core/machine.ts';
import { sh } from '../core/shell.ts';
import { isContainer } from './container.ts';
import { fileDifferences, installFiles } from './installed-files.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

const FILE = '/swapfile';
const UNIT = 'swapfile.swap';
const UNIT_FILE = `etc/systemd/system/${UNIT}`;
/** Bytes of the file, and the least that a server should have of any kind. */
const SIZE = 2 * 1024 ** 3;
const LEAST = 1024 ** 3;
/** Bytes of the disk that stay free. */
const SPARE = 4 * 1024 ** 3;

/** Swap, for what is never used: a partition or file of the server's own is as good as ours. */
export const swap: StepOf = () => ({
  name: 'swap',
  gives: 'a swap file of 2 GB where the server has no swap',
  async look() {
    if (await isContainer()) return { found: 'a container, whose host has the swap', differences: [] };
    const areas = areasOf(readFileSync('/proc/swaps', 'utf8'));
    const size = areas.reduce((sum, area) => sum + area.size, 0);
    const isOurs = areas.some(({ path }) => path === FILE) && existsSync(`/${UNIT_FILE}`);
    const differences = size < LEAST ? [`there is ${bytes(size)} of swap, not ${bytes(SIZE)}`] : [];
    if (differences.length > 0 || isOurs)
      differences.push(...fileDifferences([UNIT_FILE]), ...(await unitDifferences([UNIT])));
    return { found: `${bytes(size)} of swap`, differences };
  },
  async mend() {
    const done = existsSync(FILE) ? [] : await makeFile();
    done.push(...(await installFiles([UNIT_FILE])));
    await sh('let systemd read the unit')`systemctl daemon-reload`;
    return [...done, ...(await startUnits([UNIT]))];
  },
});

/** @returns the areas of swap in use, with their sizes in bytes (`man proc_swaps`) */
export function areasOf(text: string): { path: string; size: number }[] {
  return [...text.matchAll(/^(\/\S*)\s+\S+\s+(\d+)/gm)].map(([, path, size]) => ({
    path: path!,
    size: Number(size) * 1024,
  }));
}

/** The file appears whole: a run that is killed leaves one of another name. */
async function makeFile(): Promise<string[]> {
  const { free } = await diskOf('/');
  if (free < SIZE + SPARE)
    throw new OperationalError(
      `the disk has ${bytes(free)} free: too little for ${bytes(SIZE)} of swap and ${bytes(SPARE)} of room`,
      'free some space: df -h; docker system df',
    );
  const partial = `${FILE}.partial`;
  await rm(partial, { force: true });
  await sh('make the swap file', { timeout: 300 })`fallocate -l ${String(SIZE)} ${partial}`;
  await sh('protect the swap file')`chmod 600 ${partial}`;
  await sh('format the swap file', { timeout: 120 })`mkswap ${partial}`;
  await rename(partial, FILE);
  return [`made ${FILE} of ${bytes(SIZE)}`];
}
