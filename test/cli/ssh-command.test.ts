/** Which commands the forced command of a deploy key accepts; through a real sshd: test/integration/ssh-command.test.ts. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { help } from '../../scripts/lib/cli/help.ts';
import { ROOT } from '../../scripts/lib/config/config.ts';
import { exitCodeOf, messageOf, OperationalError } from '../../scripts/lib/core/errors.ts';
import { accept, sshCommand } from '../../scripts/ssh-command.ts';

const DIGESTS = [`sha256:${'0a'.repeat(32)}`, `sha256:${'1b'.repeat(32)}`];
const SCRIPTS = join(ROOT, 'scripts');

test('each accepted command, and the script that it runs', () => {
  for (const [said, argv] of [
    ['deploy v2.4.0', 'deploy.ts v2.4.0 --env production --yes'],
    ['deploy latest --surge', 'deploy.ts latest --surge --env production --yes'],
    [`deploy ${DIGESTS.join(' ')}`, `deploy.ts ${DIGESTS.join(' ')} --env production --yes`],
    ['deploy v2 --plan', 'deploy.ts v2 --plan --env production'],
    ['deploy v2 --surge --plan', 'deploy.ts v2 --surge --plan --env production'],
    ['deploy v2 --run 4711-1', 'deploy.ts v2 --env production --yes', '4711-1'],
    ['deploy v2 --surge --run 4711-1', 'deploy.ts v2 --surge --env production --yes', '4711-1'],
    ['rollback', 'rollback.ts --env production --yes'],
    ['rollback v2.3.0', 'rollback.ts v2.3.0 --env production --yes'],
    ['rollback sha256:0a0a0a0a0a0a', 'rollback.ts sha256:0a0a0a0a0a0a --env production --yes'],
    ['rollback --run 4711-1', 'rollback.ts --env production --yes', '4711-1'],
    ['rollback --list', 'rollback.ts --list --env production'],
    ['health-check', 'health-check.ts --env production'],
    ['health-check --verbose', 'health-check.ts --verbose --env production'],
    ['health-check --json', 'health-check.ts --json --env production'],
  ] as const) {
    const accepted = accept(said, '127.0.0.1', 'production');
    assert.is(accepted.argv.join(' '), `${SCRIPTS}/${argv}`, said);
    assert.is(accepted.argv.length, argv.split(' ').length, 'each word is an argument of its own');
    assert.is(accepted.readOnly, !argv.endsWith('--yes'), said);
    assert.is(accepted.verb, said.split(' ')[0]);
  }
  for (const [said, name] of [
    ['deploy v2 --run 4711-1', '4711-1'],
    ['rollback --run 4711-2', '4711-2'],
    ['follow', undefined],
    ['follow 4711-1', '4711-1'],
  ] as const)
    assert.is(accept(said, '127.0.0.1', 'production').name, name, said);
});

test('every other command is refused', () => {
  const commands = [
    'deploy',
    'deploy ',
    'deploy v1;id',
    'deploy v1; id',
    'deploy v1 && id',
    'deploy v1|id',
    'deploy $(id)',
    'deploy `id`',
    'deploy $HOME',
    'deploy v1\nid',
    'deploy v1\n',
    'deploy v1\r',
    "deploy 'v1'",
    'deploy v1 >x',
    'deploy v1 --env staging',
    'deploy v1 --env=staging',
    'deploy v1 --yes',
    'deploy v1 --skip-backup',
    'deploy v1 --skip-backup --reason x',
    'deploy v1 --json',
    'deploy v1 --resume',
    'deploy --revert',
    'deploy --plan v1',
    'deploy -- v1',
    'deploy v1 v2 v3',
    'deploy  v1',
    ' deploy v1',
    'deploy\tv1',
    'deploy ../v1',
    'deploy evil.example/image:v1',
    'deploy image@sha256:00',
    'deploy sha256:00',
    `deploy ${DIGESTS[0]}0`,
    `deploy sha256:${'G'.repeat(64)}`,
    `deploy v${'1'.repeat(128)}`,
    'deploy v1 --run ../x',
    'deploy v1 --run a/b',
    'deploy v1 --run',
    'deploy ünï',
    'Deploy v1',
    'rollback sha256:0a',
    'rollback --yes',
    'rollback --list --json',
    'rollback --with-database latest',
    'rollback v1 v2',
    'health-check --nagios',
    'health-check --env staging',
    'follow ../../etc/passwd',
    'follow --env staging',
    'restore latest',
    'backup',
    'scale 8',
    'deploy.ts v1',
    './scripts/deploy.ts v1',
    `${ROOT}/scripts/deploy.ts v1`,
    '/bin/sh',
    'bash -i',
    'id',
    'env',
    'internal-sftp',
    '/usr/lib/openssh/sftp-server',
    'scp -t .',
    'rsync --server . .',
    'git-upload-pack x',
  ];
  for (const said of commands) {
    let error: unknown;
    try {
      accept(said, '127.0.0.1', 'production');
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof OperationalError, `${JSON.stringify(said)} was not refused`);
    assert.is(exitCodeOf(error), 2);
    assert.is(
      messageOf(error),
      `this key is not allowed to run ${JSON.stringify(said)}, requested from 127.0.0.1`,
    );
    assert.match(error.hint, /^allowed commands:\n {6}deploy /);
  }
});

test('--help has the key’s line and the allowed commands', () => {
  const text = help('ssh-command.ts', sshCommand);
  assert.match(text, /restrict,command="\S+ --env production" ssh-ed25519/);
  for (const verb of ['deploy', 'rollback', 'health-check', 'follow'])
    assert.match(text, new RegExp(`^ {2}${verb}`, 'm'));
});

test.run();
