/** What takes the space of the disks. */
import type { Config } from '../config/config.ts';
import { bytes } from '../core/format.ts';
import { hasProgram, run, sh } from '../core/shell.ts';
import { attempt } from '../core/signals.ts';
import { disk } from '../health/checks/disk.ts';
import { sizeOfDatabase } from '../postgres/databases.ts';
import type { Task } from './tasks.ts';

interface DockerUse {
  Type: string;
  TotalCount: string;
  Active: string;
  Size: string;
  Reclaimable: string;
}

export const diskReport = (config: Config): Task => ({
  name: 'disk',
  async look() {
    const { backupDir, logDir, stateDir, postgres } = config;
    const { message } = await disk(config).run();
    const directories = await Promise.all([backupDir, logDir, stateDir].map(sizeOfDirectory));
    const database = await attempt(() => sizeOfDatabase(postgres, postgres.database));
    return {
      found: message,
      notes: [
        ...directories,
        ...(database.value === undefined ? [] : [`database ${postgres.database}: ${bytes(database.value)}`]),
        ...(await dockerUse()),
      ],
    };
  },
});

async function sizeOfDirectory(path: string): Promise<string> {
  const { value } = await attempt(() =>
    run(['du', '--summarize', '--block-size=1', path], { purpose: `measure ${path}`, timeout: 300 }),
  );
  return `${path}: ${value ? bytes(Number.parseInt(value, 10)) : 'can’t be measured'}`;
}

/** Docker measures its volumes, which takes a while. */
async function dockerUse(): Promise<string[]> {
  if (!hasProgram('docker')) return [];
  const { value, problem } = await attempt(
    () => sh('ask Docker for its space', { timeout: 300 })`docker system df --format ${'{{json .}}'}`,
  );
  if (value === undefined) return [problem!.message];
  return value
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as DockerUse)
    .map(
      ({ Type, TotalCount, Active, Size, Reclaimable }) =>
        `Docker’s ${Type.toLowerCase()}: ${Size} in ${TotalCount}, ${Active} in use, ${Reclaimable} reclaimable`,
    );
}
