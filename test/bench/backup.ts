/*
 * Backup and restore beside what else is done: the floor (pg_dump to nowhere), the old script (dump to a file,
 * gzip -9, gunzip -t), pg_dump's own directory format. All in one run, in turn, so that a noisy machine is
 * equally noisy for each; medians and ratios come out.
 */
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bytes, table } from '../../scripts/lib/core/format.ts';
import { run } from '../../scripts/lib/core/shell.ts';
import { sampleData } from '../../scripts/lib/drill/sample-data.ts';
import { client, identifier } from '../../scripts/lib/postgres/client.ts';
import { sizeOfDatabase } from '../../scripts/lib/postgres/databases.ts';
import { createWorld, type World } from '../support/core/world.ts';

interface Measure {
  seconds: number;
  /** Bytes of the result. */
  size?: number;
  /** Most bytes on disk at once below the working directory. */
  disk?: number;
  /** Most resident bytes of the node process. */
  memory?: number;
  /** Seconds of the dump phase alone. */
  dump?: number;
}

type Contestant = [name: string, once: () => Promise<Measure>];

const GB = 1e9;
const PGBENCH_SCALE_BYTES = 15.5e6;
const SAMPLE_SCALE_BYTES = 170e6;

export default async function bench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { size: { type: 'string', default: '1GB' }, rounds: { type: 'string', default: '3' } },
  });
  const size = Number.parseFloat(values.size) * GB;
  const rounds = Number(values.rounds);
  const world = await createWorld({ database: 'bench' });
  try {
    await fill(world, size);
    const database = await sizeOfDatabase(world.pg.postgres, 'bench');
    console.error(`database: ${bytes(database)}`);
    const backups = await measure(rounds, backupContestants(world));
    const restores = await measure(rounds, await restoreContestants(world));
    report(backups, restores);
    const results = join(import.meta.dirname, 'results');
    await mkdir(results, { recursive: true });
    await writeFile(
      join(results, 'backup.json'),
      JSON.stringify({ database, rounds, backups, restores }, null, 2) + '\n',
    );
  } finally {
    await world.stop();
  }
}

/** Half pgbench's tables, half text, jsonb and bytea. */
async function fill(world: World, size: number): Promise<void> {
  console.error('filling …');
  await shell(
    world,
    `pgbench --initialize --quiet --scale=${Math.ceil(size / 2 / PGBENCH_SCALE_BYTES)} bench`,
  );
  await world.sql(sampleData(size / 2 / SAMPLE_SCALE_BYTES));
  await world.sql('CHECKPOINT');
}

/** Runs a line of bash with the server's address in the environment. */
async function shell(world: World, line: string): Promise<void> {
  const { argv, env } = client(world.pg.postgres, ['bash', '-o', 'pipefail', '-c', line]);
  const path = { PATH: world.env.PATH };
  await run(argv, { env: { ...env, ...path }, purpose: line, timeout: 3600, cwd: world.directory });
}

function backupContestants(world: World): Contestant[] {
  const timed = (line: string, result?: string) => async () => {
    const measured = await watch(world, () => shell(world, line));
    if (result) measured.size = await sizeBelow(join(world.directory, result));
    await shell(world, 'rm -rf old.sql old.sql.gz dir');
    return measured;
  };
  return [
    ['floor: pg_dump > /dev/null', timed('pg_dump --no-owner --no-acl bench > /dev/null')],
    [
      'old script: dump, gzip -9, gunzip -t',
      timed(
        'pg_dump --no-owner --no-acl bench > old.sql && gzip -9 old.sql && gunzip -t old.sql.gz',
        'old.sql.gz',
      ),
    ],
    ['pg_dump -Fd -j2', timed('pg_dump -Fd -j2 -f dir bench', 'dir')],
    ['ours, plain: verified, uploaded', () => backUp(world, 'plain')],
    ['ours, custom: verified, uploaded', () => backUp(world, 'custom')],
  ];
}

async function backUp(world: World, format: string): Promise<Measure> {
  await rm(world.env.BACKUP_DIR!, { recursive: true, force: true });
  const measured = await script(world, 'backup', ['--format', format, '--json']);
  const { stdout, stderr } = measured;
  const dump = /Dumping: .* in (?:(\d+) min )?([\d.]+) s/.exec(stderr);
  return {
    ...measured.measure,
    size: JSON.parse(stdout).backup.artifact.bytes,
    dump: Number(dump?.[1] ?? 0) * 60 + Number(dump?.[2]),
  };
}

async function restoreContestants(world: World): Promise<Contestant[]> {
  await shell(world, 'pg_dump --no-owner --no-acl bench | gzip > dump.sql.gz');
  await shell(world, 'pg_dump -Fc -f dump.custom bench');
  await backUp(world, 'custom');
  const fresh = (line: string) => async () => {
    await world.sql('DROP DATABASE IF EXISTS target', 'postgres');
    await world.sql('CREATE DATABASE target', 'postgres');
    return watch(world, () => shell(world, line));
  };
  const ours = (format: string) => async () => {
    await backUp(world, format);
    await world.sql(`DROP DATABASE IF EXISTS ${identifier('target')}`, 'postgres');
    return (
      await script(world, 'restore', ['latest', '--from', 'local', '--database', 'target', '--yes', '--json'])
    ).measure;
  };
  return [
    ['gunzip | psql', fresh('gunzip -c dump.sql.gz | psql -X -q -v ON_ERROR_STOP=1 -o /dev/null target')],
    ['pg_restore -j2 (-Fc)', fresh('pg_restore -j2 -d target dump.custom')],
    ['ours, plain: checked, compared, analysed', ours('plain')],
    ['ours, custom: checked, compared, analysed', ours('custom')],
  ];
}

/** Runs a script and watches its process from outside. */
async function script(world: World, name: string, args: string[]) {
  let memory = 0;
  let output = { stdout: '', stderr: '' };
  const measured = await watch(world, async () => {
    const started = world.start(name, args);
    const timer = setInterval(() => {
      memory = Math.max(memory, peakMemory(started.child.pid!));
    }, 20);
    const ended = await started.ended;
    clearInterval(timer);
    if (ended.code !== 0) throw new Error(`${name} exited with ${ended.code}:\n${ended.stderr}`);
    output = ended;
  });
  return { measure: { ...measured, memory }, ...output };
}

function peakMemory(pid: number): number {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // gone
  }
}

/** Times an action and the most that lies on disk meanwhile beyond what was there. */
async function watch(world: World, action: () => Promise<void>): Promise<Measure> {
  const before = await sizeBelow(world.directory);
  let disk = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      disk = Math.max(disk, (await sizeBelow(world.directory)) - before);
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  })();
  const started = performance.now();
  await action();
  const seconds = (performance.now() - started) / 1000;
  over = true;
  await watching;
  return { seconds, disk };
}

async function sizeBelow(path: string): Promise<number> {
  const entry = await stat(path).catch(() => undefined);
  if (!entry?.isDirectory()) return entry?.size ?? 0;
  let sum = 0;
  for (const name of await readdir(path).catch(() => [])) sum += await sizeBelow(join(path, name));
  return sum;
}

interface Row extends Measure {
  name: string;
}

async function measure(rounds: number, contestants: Contestant[]): Promise<Row[]> {
  const all = contestants.map(() => [] as Measure[]);
  for (let round = 1; round <= rounds; round++) {
    for (const [index, [name, once]] of contestants.entries()) {
      const result = await once();
      all[index]!.push(result);
      console.error(`round ${round}: ${name}: ${result.seconds.toFixed(1)} s`);
    }
  }
  return contestants.map(([name], index) => {
    const runs = all[index]!;
    const of = (key: keyof Measure) =>
      runs.every(each => each[key] === undefined) ? undefined : median(runs.map(each => each[key] ?? 0));
    return {
      name,
      seconds: of('seconds')!,
      size: of('size'),
      disk: of('disk'),
      memory: Math.max(...runs.map(each => each.memory ?? 0)),
      dump: of('dump'),
    };
  });
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function report(backups: Row[], restores: Row[]): void {
  const [floor, old] = backups as [Row, Row];
  const ratio = (value: number, to: number) => (value / to).toFixed(2);
  const size = (value: number | undefined) => (value ? bytes(value) : '-');
  console.log(
    table(
      [
        'backup',
        '>s',
        '>÷ floor',
        '>÷ old',
        '>dump s',
        '>dump ÷ floor',
        '>size',
        '>disk ÷ size',
        '>node memory',
      ],
      backups.map(row => [
        row.name,
        row.seconds.toFixed(1),
        ratio(row.seconds, floor.seconds),
        ratio(row.seconds, old.seconds),
        row.dump?.toFixed(1) ?? '-',
        row.dump ? ratio(row.dump, floor.seconds) : '-',
        size(row.size),
        row.size && row.disk ? ratio(row.disk, row.size) : '-',
        size(row.memory),
      ]),
    ),
  );
  const [psql] = restores as [Row];
  console.log(
    '\n' +
      table(
        ['restore', '>s', '>÷ gunzip | psql', '>disk', '>node memory'],
        restores.map(row => [
          row.name,
          row.seconds.toFixed(1),
          ratio(row.seconds, psql.seconds),
          size(row.disk),
          size(row.memory),
        ]),
      ),
  );
}
