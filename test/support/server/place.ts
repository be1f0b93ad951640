/** Where a machine runs: two networks, the server's and that outside, and groups of processes of its own. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { attempt, run } from '../../engine/process.ts';

export const SERVER = '198.51.100.1';
export const OUTSIDE = '198.51.100.2';

const GROUPS = '/sys/fs/cgroup';
/** Of both versions, where the tests' machine has both: containers get limits of processors and memory from the first one. */
const HIERARCHIES = existsSync(join(GROUPS, 'unified'))
  ? readdirSync(GROUPS).filter(name => existsSync(join(GROUPS, name, 'cgroup.procs')))
  : [];
const NETWORKS = '/run/netns';

export interface Place {
  /** For its files. */
  directory: string;
  /** Paths of the networks. */
  inside: string;
  outside: string;
  /** Directories of the groups of processes. */
  groups: string[];
  /** Names of the hierarchies of groups of the first version that the server has. */
  hierarchies: string[];
  remove: () => Promise<void>;
}

let places = 0;

/** @param limits whether its groups are of the first version, too */
export async function makePlace(limits: boolean): Promise<Place> {
  await sweep();
  const name = `server-${process.pid}-${places++}`;
  const [inside, outside] = [`${name}-in`, `${name}-out`];
  const hierarchies = limits ? HIERARCHIES : [];
  const second = HIERARCHIES.length > 0 ? 'unified' : '.';
  const groups = [...new Set([second, ...hierarchies])].map(each => join(GROUPS, each, name));
  for (const group of groups) makeGroup(group);
  await connect(inside, outside);
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  return {
    directory,
    inside: join(NETWORKS, inside),
    outside: join(NETWORKS, outside),
    groups,
    hierarchies,
    remove: async () => {
      for (const network of [inside, outside]) await run('ip', ['netns', 'del', network]);
      await removeGroups(groups);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function makeGroup(path: string): void {
  mkdirSync(path);
  // A new group of the first version has no processors and no memory.
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    if (existsSync(join(path, file)) && path.includes('/cpuset/'))
      writeFileSync(join(path, file), readFileSync(join(dirname(path), file)));
}

const removeGroups = (paths: string[]) =>
  attempt('find', [...paths, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);

async function connect(inside: string, outside: string): Promise<void> {
  const ip = (...args: string[]) => run('ip', args);
  await ip('netns', 'add', inside);
  await ip('netns', 'add', outside);
  await ip('link', 'add', 'eth0', 'netns', inside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  for (const [network, address] of [
    [inside, SERVER],
    [outside, OUTSIDE],
  ] as const) {
    await ip('-n', network, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    for (const link of ['lo', 'eth0']) await ip('-n', network, 'link', 'set', link, 'up');
  }
}

/** Removes what the places of killed tests have left: their names have the process. */
async function sweep(): Promise<void> {
  const isLeft = (name: string) => {
    const pid = /^server-(\d+)-\d/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  const entries = (path: string) => (existsSync(path) ? readdirSync(path).filter(isLeft) : []);
  for (const network of entries(NETWORKS)) await attempt('ip', ['netns', 'del', network]);
  for (const hierarchy of ['.', ...HIERARCHIES].map(each => join(GROUPS, each)))
    for (const group of entries(hierarchy)) await removeGroups([join(hierarchy, group)]);
  for (const name of entries(tmpdir())) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
