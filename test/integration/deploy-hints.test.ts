/**
 * The commands that messages of deploy.ts, rollback.ts and scale.ts name, run as they are shown: those that need Docker
 * over its model, with the real definition of the command's arguments; the others as processes.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy } from '../../scripts/deploy.ts';
import { type Command, parseArguments } from '../../scripts/lib/cli/command.ts';
import { placeOf } from '../../scripts/lib/cli/place.ts';
import { type Config, loadConfig } from '../../scripts/lib/config/config.ts';
import { pasteable } from '../../scripts/lib/core/command-line.ts';
import { OperationalError } from '../../scripts/lib/core/errors.ts';
import { chooseRelease, type Release, reachable } from '../../scripts/lib/deploy/releases.ts';
import { namedImages } from '../../scripts/lib/docker/images.ts';
import { rollback } from '../../scripts/rollback.ts';
import { type AnyCommand, runHere } from '../support/cli/commands.ts';
import { shellWords } from '../support/cli/hints.ts';
import { commandIn, paste } from '../support/cli/paste.ts';
import { importCopy, root } from '../support/deploy/deployment-copy.ts';
import { assertBack, assertEnd, SITUATIONS } from '../support/deploy/deployment-ends.ts';
import { type Case, NEW, newCase, OLD, type Situation } from '../support/deploy/deployment-model.ts';
import type { Run } from '../support/deploy/deployment-process.ts';

/** What the script's own definition makes of a command that a message shows. */
const parsed = (command: string, definition: AnyCommand) =>
  parseArguments(definition, shellWords(command).slice(1)) as {
    positionals: string[];
    options: Record<string, unknown>;
  };
const ofDeploy = (command: string) => parsed(command, deploy as unknown as AnyCommand);

/** Runs `deploy.ts --resume` or `--revert`, as it is shown. */
function finishAs(c: Case, said: string, pattern: RegExp) {
  const { options, positionals } = ofDeploy(commandIn(said, pattern));
  assert.equal(positionals, []);
  assert.is(Object.keys(options).length, 1);
  return c.finish(options.resume ? 'resume' : 'revert');
}

/** @returns what a refusal says to do */
function hintOf(refuse: () => void): string {
  try {
    refuse();
  } catch (error) {
    return (error as OperationalError).hint;
  }
  throw new Error('it was not refused');
}

const importUpstreams = () =>
  importCopy<typeof import('../../scripts/lib/nginx/upstreams.ts')>('lib/nginx/upstreams.ts');

const situation = SITUATIONS['two instances and a migration']!;

for (const [direction, images, pattern] of [
  ['resume', NEW, /\(or (\S+deploy\.ts --resume) to finish 2\)/],
  ['revert', OLD, /then run (\S+deploy\.ts --revert) \(/],
] as const)
  test(`the way back fails too: --${direction} ends it`, async () => {
    const c = await newCase(situation);
    const run = await c.deploy({ at: 60, trouble: 'Nginx refuses its files' });
    assert.is(run.ended, 'unfinished', run.said);
    c.docker.refused = false;
    const { ended, said } = await finishAs(c, run.said, pattern);
    assert.is(ended, direction === 'resume' ? 'done' : 'rolled back', said);
    await assertEnd(c, situation, images, said);
  });

/** Has a deployment fail at the command of this name, and from then on or not. */
async function failAt(name: string, trouble: 'fails' | 'fails from then on'): Promise<{ c: Case; run: Run }> {
  const { commands } = await (await newCase(situation)).deploy();
  const all = Array.from({ length: commands }, (_, at) => at);
  for (const at of name === 'migrate' ? all : all.reverse()) {
    const c = await newCase(situation);
    const run = await c.deploy({ at, trouble });
    if (run.met === name) return { c, run };
  }
  throw new Error(`nothing is ${name}`);
}

test('the end can’t be recorded: the command records it', async () => {
  const { c, run } = await failAt('sync releases.jsonl', 'fails from then on');
  assert.match(run.said, /2 has ended \(done\), which could not be recorded/);
  const again = await finishAs(c, run.said, /correct that, then run (\S+deploy\.ts --resume)\./);
  assert.is(again.ended, 'done', again.said);
  await assertEnd(c, situation, NEW, again.said);
});

/** A deployment that is killed before this change. */
async function killedBefore(change: string, of: Situation): Promise<Case> {
  const { points } = await (await newCase(of)).deploy();
  const c = await newCase(of);
  const run = await c.deploy({ at: points.indexOf(change), trouble: 'killed before' });
  assert.is(run.ended, 'killed', run.said);
  return c;
}

for (const [direction, images, pattern] of [
  ['resume', NEW, /^(\S+deploy\.ts --resume) finishes it/],
  ['revert', OLD, /, (\S+deploy\.ts --revert) goes back/],
] as const)
  test(`another run finds a killed deployment: --${direction} ends it`, async () => {
    const c = await killedBefore('stop backend-2', situation);
    const { ended, said } = await finishAs(
      c,
      hintOf(() => c.refuseUnfinished()),
      pattern,
    );
    assert.is(ended, direction === 'resume' ? 'done' : 'rolled back', said);
    await assertEnd(c, situation, images, said);
  });

test('a damaged journal was put aside: a deployment brings all instances to one release', async () => {
  const c = await killedBefore('stop backend-2', situation);
  c.write('state/production.deploy.json', '{');
  const hint = hintOf(() => c.refuseUnfinished());
  const moved = await paste({ env: { PATH: '/usr/bin:/bin' } }, commandIn(hint, /^(mv [^;]+);/), tmpdir());
  assert.is(moved.code, 0, moved.stderr);
  c.refuseUnfinished();
  assert.equal(ofDeploy(commandIn(hint, /then (\S+deploy\.ts TAG) or/)).positionals, ['TAG']);
  const run = await c.deploy();
  assert.is(run.ended, 'done', run.said);
  await assertEnd(c, situation, NEW, run.said);
});

test('the database to go back to was dropped: the command finishes the rollback', async () => {
  const withData = SITUATIONS['a rollback with the database']!;
  const c = await killedBefore('stop backend-2', withData);
  for (const [oid, { name }] of c.databases.databases)
    if (/_before/.test(name)) c.databases.databases.delete(oid);
  const run = await c.finish('revert');
  assert.is(run.ended, 'unfinished', run.said);
  const end = await finishAs(c, run.said, /(\S+deploy\.ts --resume) finishes the rollback/);
  assert.is(end.ended, 'done', end.said);
  assert.equal(c.docker.listed('backend'), ['backend-1', 'backend-2']);
  assert.equal([c.databases.live(), c.journal(), c.docker.losses], [NEW.backend, undefined, []]);
});

test('a migration fails: the command plans the same release', async () => {
  const { run } = await failAt('migrate', 'fails');
  const { options, positionals } = ofDeploy(commandIn(run.said, /`(\S+deploy\.ts [^`]+)` shows the command/));
  assert.is(options.plan, true);
  assert.is(namedImages(OLD, positionals[0]!).backend, NEW.backend);
});

test('only one instance serves: the command starts another, and the deployment goes on', async () => {
  const alone = { servers: ['backend-1'] };
  const c = await newCase(alone);
  const { refuseOnlyOne } = await importCopy<typeof import('../../scripts/lib/deploy/rolling-update.ts')>(
    'lib/deploy/rolling-update.ts',
  );
  const lists = await importUpstreams();
  const refuse = () => refuseOnlyOne(lists.wantedBackends(), OLD, NEW, null);
  const { scale } = await importCopy<{ scale: Command<never> }>('scale.ts');
  const args = shellWords(commandIn(hintOf(refuse), /(\S+scale\.ts 2)$/)).slice(1);
  const release = { outcome: 'done' } as Release;
  const run = await c.process(async config => {
    await runHere(scale, args, config);
    return { release, exitCode: 0 };
  });
  assert.is(run.ended, 'done', run.said);
  assert.equal(c.docker.listed('backend'), ['backend-1', 'backend-2']);
  assert.equal(c.docker.losses, []);
  refuse();
});

test('no server of a list is active: the command restores the list', async () => {
  const c = await newCase();
  const { servingLine } = await importUpstreams();
  const env = { PATH: process.env.PATH!, HOME: root };
  const commit =
    'git init -q && git add nginx && git -c user.name=me -c user.email=me@localhost commit -qm lists';
  const begun = await paste({ env }, commit, root);
  try {
    assert.is(begun.code, 0, begun.stderr);
    c.write('nginx/upstreams/backend.conf', 'server backend-1:3000 resolve down;\n');
    const hint = hintOf(() => servingLine('backend'));
    const { code, stderr } = await paste({ env }, commandIn(hint, /^`(git [^`]+)` restores/), tmpdir());
    assert.is(code, 0, stderr);
    assert.match(servingLine('backend'), /^server backend-1:/);
    assert.is(c.read('nginx/upstreams/backend.conf'), c.lists[0]);
  } finally {
    rmSync(join(root, '.git'), { recursive: true, force: true });
  }
});

test('a stopped deployment: the command goes back past the migration', async () => {
  const contracting = SITUATIONS['a contracting migration, and --surge']!;
  const c = await newCase(contracting);
  c.docker.fates.set(NEW.backend, 'never ready');
  const run = await c.deploy();
  await assertBack(c, contracting, run, run.said);
  const command = commandIn(run.said, /^ +(\S+rollback\.ts .* --with-database \S+)$/m);
  const { options, positionals } = parsed(command, rollback as unknown as AnyCommand);
  assert.is(options['with-database'], 'made');
  assert.equal(chooseRelease(reachable(c.releases()), positionals[0]).images, OLD);
});

/** A place without Docker, whose path needs quotes. */
async function inPlace(body: (env: Record<string, string>, config: Config) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "it's never deployed-"));
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: directory,
    DOCKER_HOST: `unix://${directory}/nobody.sock`,
    STATE_DIR: join(directory, 'state'),
    LOG_DIR: join(directory, 'logs'),
    BACKUP_DIR: join(directory, 'backups'),
    S3_BUCKET: '',
  };
  mkdirSync(env.STATE_DIR);
  try {
    await body(env, loadConfig('staging', env));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** @returns how a script that refuses says what to do, as an operator of staging reads it elsewhere */
async function refusal(config: Config, ...args: string[]): Promise<string> {
  try {
    await runHere(rollback, args, config);
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return pasteable(`${error.message}\n${error.hint}`, { ...placeOf('staging'), cwd: tmpdir() });
  }
  throw new Error('it was not refused');
}

test('a damaged journal is put aside by the command, and there is no earlier release: the command lists them', () =>
  inPlace(async (env, config) => {
    writeFileSync(join(env.STATE_DIR!, 'staging.deploy.json'), '{');
    const damaged = await refusal(config, '--yes');
    const moved = await paste({ env }, commandIn(damaged, /^(mv .*?\.damaged\S*);/m), tmpdir());
    assert.is(moved.code, 0, moved.stderr);
    const none = await refusal(config, '--yes');
    assert.match(none, /no earlier release/);
    const list = await paste({ env }, commandIn(none, /^(\S+rollback\.ts .*--list) shows/m), tmpdir());
    assert.is(list.code, 0, list.stderr);
    assert.match(list.stdout, /nothing has been deployed yet/);
  }));

test('a contracting migration since: the command lists the backups', () =>
  inPlace(async (env, config) => {
    const release = {
      ...{ time: '2026-01-31T02:00:00.000Z', environment: 'staging', kind: 'deploy', release: '2', by: 'me' },
      ...{ images: NEW, previous: OLD, migrations: ['drop'], contracting: ['drop'], backup: null },
      ...{ outcome: 'done', seconds: 1, canary: null },
    };
    writeFileSync(join(env.STATE_DIR!, 'releases.jsonl'), `${JSON.stringify(release)}\n`);
    const refused = await refusal(config, '--yes');
    const command = commandIn(refused, /: (\S+list-backups\.ts --env staging) shows/);
    const { code, stdout, stderr } = await paste({ env }, command, tmpdir());
    assert.is(code, 0, stderr);
    assert.match(stdout, /no backups of \w+ \(staging\)/);
  }));

test.run();
