import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drill } from '../../scripts/drill.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { serverPrograms, startProcess } from '../../scripts/lib/drill/postgres-process.ts';
import { conclude, type DrillReport } from '../../scripts/lib/drill/report.ts';
import { writeReport } from '../../scripts/lib/drill/write-report.ts';
import { CACHE } from '../engine/engine.ts';
import { configOf } from '../support/backup/old-backups.ts';
import { here } from '../support/core/here.ts';
import { makeBackup } from '../support/core/in-process.ts';
import { createTurns } from '../support/core/turns.ts';
import { startProgram, until, type World } from '../support/core/world.ts';
import { assertEmbeddedDrill, inTemporary, processesWith } from '../support/drill/embedded.ts';
import { ensureTemplate } from '../support/postgres/test-postgres.ts';

/** For a faster start of Node, as scripts/node does it. */
const CACHED = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/tests') };

const { inTurn, stop } = await createTurns();

/** With all its data: test/stack/drill-bare.test.ts, and test/long/integration/drill.test.ts. */
test('embedded: backs up, destroys, restores, compares, and leaves nothing behind', () => {
  const argv = [join(import.meta.dirname, '../support/drill/small-drill.ts')];
  return assertEmbeddedDrill(env => startProgram(process.execPath, argv, { ...env, ...CACHED }), 10_000, 1e5);
});

/** Of a drill, and with SIGINT at its steps: test/long/integration/drill.test.ts. */
test('after SIGKILL of who started it, no server is running', () =>
  inTemporary(async (env, directory) => {
    const argv = [join(import.meta.dirname, '../support/drill/held-server.ts')];
    const running = startProgram(process.execPath, argv, {
      ...env,
      ...CACHED,
      XDG_CACHE_HOME: dirname(CACHE),
    });
    await running.shows(/started PostgreSQL/);
    assert.ok(processesWith(directory).length > 0, 'there is one');
    running.child.kill('SIGKILL');
    await running.ended;
    await until('the server has ended', () => processesWith(directory).length === 0, 60);
  }));

/** Takes the server's port before the server does, the first time. */
const THIEF = `#!/bin/sh
[ -e "$0.once" ] && exec "$0.real" "$@"
touch "$0.once"
port=$(printf '%s\\n' "$@" | sed -n 's/^port=//p')
exec ${process.execPath} -e '
  require("node:net").createServer().listen(process.argv[1], "127.0.0.1", () => {
    const { status } = require("node:child_process").spawnSync(process.argv[2], process.argv.slice(3), { stdio: "inherit" });
    process.exit(status);
  })' "$port" "$0.real" "$@"
`;

test('a temporary server whose port another program takes gets another port', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'programs-'));
  try {
    const real = serverPrograms()!;
    symlinkSync(join(real, 'postgres'), join(directory, 'postgres.real'));
    writeFileSync(join(directory, 'postgres'), THIEF, { mode: 0o755 });
    chmodSync(directory, 0o777);
    const template = await ensureTemplate(real);
    const password = readFileSync(join(template, 'password'), 'utf8');
    const server = await startProcess(directory, password, join(template, 'data'));
    try {
      assert.ok(existsSync(join(directory, 'postgres.once')), 'the first port was taken');
      assert.match(readFileSync(join(server.directory, 'server.log'), 'utf8'), /Address already in use/);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

async function withBackup(world: World): Promise<string> {
  await world.sql('CREATE TABLE t AS SELECT i FROM generate_series(1, 500) AS i');
  return (await makeBackup(world, { format: 'custom' })).id;
}

const databases = (world: World) =>
  world.rows<{ datname: string; oid: number }>(
    'SELECT datname, oid::int8 AS oid FROM pg_database ORDER BY 1',
    'postgres',
  );

/** What `drill.ts` does after it has read its arguments. */
const drillHere = (world: World, env: Record<string, string> = {}) =>
  here(world, env, () => drill.run({ options: {}, positionals: [], config: () => configOf(world, env) }));

/** Beside what a killed drill left, and a missed objective as a run: test/long/integration/drill.test.ts. */
test('on a server: restores the newest off-site backup beside the live database, keeps a report, drops what a drill left; what is damaged or missing is refused', () =>
  inTurn(async world => {
    const none = await drillHere(world);
    assert.is(none.code, 3, none.stderr);
    assert.match(none.error, /no verified backup/);
    const unconfigured = await drillHere(world, { S3_BUCKET: '' });
    assert.is(unconfigured.code, 2, unconfigured.stderr);

    const id = await withBackup(world);
    const before = await databases(world);
    await world.sql('CREATE DATABASE app_drill_20200101_000000', 'postgres');
    await world.sql('INSERT INTO t SELECT 0 FROM generate_series(1, 7)');
    const { value, stderr, error } = await drillHere(world);
    assert.is(value?.exitCode, 0, error);
    assert.match(stderr, /dropping database .*, left by a run that did not finish/);
    const report = value!.json as DrillReport;
    assert.is(report.backup, id);
    assert.is(report.rows, 500);
    assert.equal(Object.keys(report.seconds), ['fetch', 'verify', 'restore and compare']);
    assert.equal(await databases(world), before, 'the scratch database is gone, the live one is the same');
    assert.is((await world.rows<{ n: number }>('SELECT count(*) AS n FROM t'))[0]!.n, 507);
    const drills = join(world.env.STATE_DIR!, 'drills');
    const table = () => readFileSync(join(drills, 'report.md'), 'utf8');
    const [json] = readdirSync(drills).filter(name => name.endsWith('.json'));
    assert.is(JSON.parse(readFileSync(join(drills, json!), 'utf8')).backup, id);
    assert.match(table(), new RegExp(`\\| production \\| ${id} \\|.*\\| met \\|`));
    assert.not.ok(existsSync(join(world.env.BACKUP_DIR!, '.drill-production')));

    const late = { ...report, rpo: 48 * 3600, rpoObjective: 36 * 3600 };
    const { exitCode, text } = conclude(late);
    assert.is(exitCode, 3, text);
    assert.match(text, /RPO .*MISSED/);
    assert.match(text, /RTO .*: met/);
    assert.match(text, /drill FAILED: the data was .* old; the objective \(RPO_OBJECTIVE\) is /);
    await writeReport(configOf(world, {}), late);
    assert.match(table(), /\| missed \|/);

    const path = join(world.s3.directory, `bucket/database/${id}.dump.zst._S3rver_object`);
    const content = readFileSync(path);
    content[Math.floor(content.length / 2)]! ^= 1;
    await writeFile(path, content);
    const damaged = await drillHere(world);
    assert.is(damaged.code, 3, damaged.stderr);
    assert.match(damaged.error, /SHA-256/);
    assert.equal(await databases(world), before);
  }));

test('the servers stop', stop);

test.run();
