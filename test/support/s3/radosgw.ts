/**
 * Ceph's S3 gateway, from Debian's packages: a store that enforces rules which s3rver does not have. One monitor and one
 * storage daemon, which keeps everything in memory, stand behind it.
 */
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { S3 } from '@aws-sdk/client-s3';
import { installPackages } from '../../../scripts/lib/core/packages.ts';
import { type Service, startService } from '../../../scripts/lib/core/service.ts';
import { freePort } from '../../../scripts/lib/drill/free-port.ts';
import { until } from '../core/world.ts';

const start = promisify(execFile);

export interface User {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface Radosgw {
  endpoint: string;
  /** The owner of buckets. */
  owner: User;
  /** @returns a client of the AWS SDK. */
  client: (user: User) => S3;
  createBucket: (user: User, name: string) => Promise<unknown>;
  /** Adds a user, who has no right to the buckets of others. */
  addUser: (name: string) => Promise<User>;
  /** Ends the gateway as a restart does. The buckets stay. */
  halt: () => Promise<void>;
  resume: () => Promise<void>;
  stop: () => Promise<void>;
}

/** @returns the configuration of a cluster whose programs know each other by address, without keys */
function configuration(directory: string, cluster: string, monitor: number, gateway: number): string {
  const modes = ['mon cluster', 'mon service', 'mon client', 'cluster', 'service', 'client'];
  return [
    '[global]',
    `fsid = ${cluster}`,
    `mon host = v2:127.0.0.1:${monitor}`,
    'public addr = 127.0.0.1',
    'cluster addr = 127.0.0.1',
    ...['cluster', 'service', 'client'].map(side => `auth ${side} required = none`),
    ...modes.map(mode => `ms ${mode} mode = crc`), // without keys nothing can be encrypted
    'ms bind ipv6 = false',
    'osd pool default size = 1',
    'osd pool default min size = 1',
    'osd pool default pg num = 1',
    'osd crush chooseleaf type = 0',
    'mon allow pool size one = true',
    'osd objectstore = memstore',
    'memstore device bytes = 4294967296',
    `osd data = ${directory}/osd`,
    `mon data = ${directory}/mon`,
    `run dir = ${directory}`,
    `admin socket = ${directory}/$name.asok`,
    `log file = ${directory}/$name.log`,
    '[client.rgw]',
    `rgw frontends = beast endpoint=127.0.0.1:${gateway}`,
    '',
  ].join('\n');
}

/** Installs what is missing (root on Debian only) and starts it. Everything ends with this process. */
export async function startRadosgw(): Promise<Radosgw> {
  await installPackages(['radosgw', 'ceph-mon', 'ceph-osd']);
  const directory = mkdtempSync(join(tmpdir(), 'radosgw-'));
  for (const name of ['mon', 'osd']) mkdirSync(join(directory, name));
  const file = join(directory, 'ceph.conf');
  const [monitor, gateway] = [await freePort(), await freePort()];
  const cluster = randomUUID();
  writeFileSync(file, configuration(directory, cluster, monitor, gateway));
  const log = openSync(join(directory, 'output.log'), 'a');
  const run = async (program: string, ...args: string[]) =>
    (await start(program, ['--conf', file, ...args], { timeout: 120_000 })).stdout;
  const services: Service[] = [];
  const serve = (program: string, ...args: string[]) =>
    startService([program, '--conf', file, '--foreground', ...args], { log });
  const stop = async () => {
    for (const service of services.reverse()) await service.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${gateway}`;
  const resume = async () => {
    services.push(serve('radosgw', '--name', 'client.rgw'));
    const answers = () =>
      fetch(endpoint).then(
        ({ ok }) => ok,
        () => false,
      );
    await until('the gateway answers', answers).catch(error => {
      throw new Error(
        `${error.message}\n${readFileSync(join(directory, 'client.rgw.log'), 'utf8').slice(-2000)}`,
      );
    });
  };
  const client = (credentials: User) =>
    new S3({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials });
  const addUser = async (name: string): Promise<User> => {
    const user = { accessKeyId: name, secretAccessKey: randomBytes(16).toString('hex') };
    const keys = ['--access-key', user.accessKeyId, '--secret-key', user.secretAccessKey];
    await run('radosgw-admin', 'user', 'create', '--uid', name, '--display-name', name, ...keys);
    return user;
  };
  try {
    const map = join(directory, 'monmap');
    await start('monmaptool', [
      '--create',
      '--fsid',
      cluster,
      '--addv',
      'a',
      `[v2:127.0.0.1:${monitor}]`,
      map,
    ]);
    await run('ceph-mon', '--mkfs', '--id', 'a', '--monmap', map);
    services.push(serve('ceph-mon', '--id', 'a'));
    const disk = randomUUID();
    await run('ceph', 'osd', 'new', disk);
    await run('ceph-osd', '--id', '0', '--mkfs', '--osd-uuid', disk);
    services.push(serve('ceph-osd', '--id', '0'));
    const owner = await addUser('owner');
    await resume();
    return {
      endpoint,
      owner,
      client,
      createBucket: (user, Bucket) => client(user).createBucket({ Bucket }),
      addUser,
      resume,
      halt: async () => {
        await services.pop()!.stop('SIGKILL');
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
