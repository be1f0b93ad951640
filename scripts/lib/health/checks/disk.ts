import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Config, ROOT } from '../../config/config.ts';
import { bytes, plural } from '../../core/format.ts';
import { type Check, grade, type Remark, summarize } from '../check.ts';
import { docker } from '../docker.ts';

const USED = { warning: 80, critical: 90 };

interface FileSystem {
  /** One of the paths on it. */
  path: string;
  /** Percent of the space that is not reserved for root, as `df` prints it. */
  used: number;
  free: number;
  /** Percent; 0 where the file system has no limit of them. */
  inodes: number;
  readOnly: boolean;
}

/** All file systems that the stack and its backups write to; the value is that of the fullest. */
export const disk = (config: Config): Check => ({
  name: 'disk',
  run: async () => {
    const dataRoot = await docker(config, ['info', '--format', '{{.DockerRootDir}}']).catch(() => undefined);
    const { backupDir, stateDir, logDir } = config;
    const paths = ['/', ROOT, backupDir, stateDir, logDir, ...(dataRoot ? [dataRoot.trim()] : [])];
    const found = await Promise.all(paths.map(look));
    const systems = [...new Map(found.reverse()).values()];
    const fullest = systems.reduce((a, b) => (worstOf(b) > worstOf(a) ? b : a));
    const remarks: Remark[] = [
      ...systems.flatMap(remarksOn),
      [
        'ok',
        `the fullest is ${fullest.path}: ${fullest.used} % used, ${bytes(fullest.free)} free; ${plural(systems.length, 'file system')}`,
      ],
    ];
    return { ...summarize(remarks), value: worstOf(fullest), unit: '%', thresholds: USED };
  },
});

const worstOf = ({ used, inodes }: FileSystem) => Math.max(used, inodes);

function remarksOn({ path, used, free, inodes, readOnly }: FileSystem): Remark[] {
  const remarks: Remark[] = [];
  if (grade(used, USED) !== 'ok')
    remarks.push([grade(used, USED), `${path} is ${used} % full, ${bytes(free)} free`]);
  if (grade(inodes, USED) !== 'ok')
    remarks.push([grade(inodes, USED), `${path} has ${inodes} % of its inodes used: too many files`]);
  if (readOnly) remarks.push(['critical', `${path} is mounted read-only: see \`dmesg\``]);
  return remarks;
}

/** @returns the device and file system of a path, or of the nearest directory above that exists */
async function look(path: string): Promise<[device: number, FileSystem]> {
  try {
    const [{ dev }, { bsize, blocks, bfree, bavail, files, ffree }] = await Promise.all([
      stat(path),
      statfs(path),
    ]);
    const usedBlocks = blocks - bfree;
    const readOnly = await access(path, constants.W_OK).then(
      () => false,
      error => (error as NodeJS.ErrnoException).code === 'EROFS',
    );
    return [
      dev,
      {
        path,
        used: percent(usedBlocks, usedBlocks + bavail),
        free: bavail * bsize,
        inodes: percent(files - ffree, files),
        readOnly,
      },
    ];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return look(dirname(path));
  }
}

/** Rounded up, as `df` does: 89.5 is 90. */
const percent = (part: number, whole: number) => (whole > 0 ? Math.ceil((part / whole) * 100) : 0);
