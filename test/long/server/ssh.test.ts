/* SSH with keys only: who must be able to log in before, and who still is able afterwards. Real logins from outside. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Machine, startMachine } from '../../support/server/machine.ts';
import { setUp } from '../../support/server/set-up.ts';
import { openSession, ssh } from '../../support/server/ssh-client.ts';

/** Without an administrator's key: nothing changes. With one, it does. */
const LOCKED_OUT: [what: string, how: string][] = [
  ['no key at all', 'mv /root/.ssh/authorized_keys /root/keys'],
  ['a file that every user can write', 'chmod 666 /root/.ssh/authorized_keys'],
  ['a directory of somebody else', 'chown 1000 /root/.ssh'],
  ['a key with a forced command', `sed -i 's/^/command="id" /' /root/.ssh/authorized_keys`],
  ['a key of some addresses', `sed -i 's/^/from="203.0.113.7" /' /root/.ssh/authorized_keys`],
  ['a comment', `sed -i 's/^/#/' /root/.ssh/authorized_keys`],
  ['root must not log in', 'echo PermitRootLogin no >/etc/ssh/sshd_config.d/05-mine.conf'],
  ['only others may log in', 'echo AllowUsers admin >/etc/ssh/sshd_config.d/05-mine.conf'],
  ['no keys are taken', 'echo PubkeyAuthentication no >/etc/ssh/sshd_config.d/05-mine.conf'],
  ['keys are elsewhere', 'echo AuthorizedKeysFile /etc/keys/%u >/etc/ssh/sshd_config.d/05-mine.conf'],
  [
    'more than a key is asked for',
    'printf "KbdInteractiveAuthentication yes\\nAuthenticationMethods publickey,keyboard-interactive\\n" >/etc/ssh/sshd_config.d/05-mine.conf',
  ],
];

/** Who is an administrator beside root. */
const OTHERS: [what: string, how: string, may: boolean][] = [
  ['a user of sudo without a password', 'passwd -l admin', false],
  ['a user of sudo with a password', 'echo admin:secret | chpasswd', true],
  [
    'a user with NOPASSWD',
    'echo "admin ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/admin; gpasswd -d admin sudo',
    true,
  ],
  [
    'a user who may run one command',
    'echo "admin ALL=(ALL) NOPASSWD: /usr/bin/id" >/etc/sudoers.d/admin; gpasswd -d admin sudo',
    false,
  ],
];

const settings = (machine: Machine) =>
  machine.run('sshd -T | grep -E "^(passwordauthentication|kbdinteractive)"; ls /etc/ssh/sshd_config.d');
const refused = async (machine: Machine, what: string) => {
  const before = await settings(machine);
  const run = await setUp(machine, '--yes --only ssh');
  assert.is(run.code, 1, what);
  assert.match(run.steps[0]!.error!, /without passwords|more than a key/, what);
  assert.equal(run.steps[0]!.done, [], what);
  assert.is(await settings(machine), before, what);
};

test('where no administrator could log in with a key, passwords stay', async () => {
  const machine = await startMachine('bookworm');
  try {
    await machine.run('cp -a /root/.ssh /root/ssh.kept');
    for (const [what, how] of LOCKED_OUT) {
      await machine.run(how);
      await refused(machine, what);
      await machine.run(
        'rm -rf /root/.ssh /etc/ssh/sshd_config.d/05-mine.conf; cp -a /root/ssh.kept /root/.ssh',
      );
    }
    await machine.run('rm -r /root/.ssh; useradd --create-home --shell /bin/bash --groups sudo admin');
    await machine.run('cp -a /root/ssh.kept /home/admin/.ssh; chown -R admin: /home/admin/.ssh');
    for (const [what, how, may] of OTHERS) {
      await machine.run(how);
      if (may) {
        assert.is((await setUp(machine, '--yes --only ssh')).code, 0, what);
        await machine.run('rm /etc/ssh/sshd_config.d/10-server.conf; systemctl reload ssh');
      } else await refused(machine, what);
      await machine.run('rm -f /etc/sudoers.d/admin; usermod --append --groups sudo admin');
    }
  } finally {
    await machine.close();
  }
});

test('a server with passwords and another port: the run comes by SSH, its session and others stay, and passwords end', async () => {
  const machine = await startMachine('bookworm');
  try {
    await machine.write(
      '/etc/ssh/sshd_config.d/50-cloud-init.conf',
      'PasswordAuthentication yes\nPort 2222\n',
    );
    await machine.run('systemctl restart ssh; echo root:secret | chpasswd');
    // The port of the session is no longer that of the settings.
    await machine.write(
      '/etc/ssh/sshd_config.d/50-cloud-init.conf',
      'PasswordAuthentication yes\nPort 2200\n',
    );
    const login = { key: machine.operatorKey, port: 2222 };
    const methods = async (port: number) => (await ssh(machine, 'true', { port })).stderr;
    assert.match(await methods(2222), /Permission denied \(publickey,password\)/);
    const session = await openSession(machine, login);
    // sshd no longer listens where this session is, and sudo would take SSH_CONNECTION away.
    const script = '/opt/acme/scripts/setup-server.ts --yes --only ssh,firewall 2>&1';
    const run = await ssh(machine, `systemctl restart ssh && env -u SSH_CONNECTION ${script}`, login);
    assert.is(run.code, 0, run.stdout);
    assert.match(run.stdout, /allowed 2200\/tcp\n.*allowed 2222\/tcp\n/);
    await session.isAlive();
    assert.match(await methods(2200), /Permission denied \(publickey\)/);
    assert.is((await ssh(machine, 'true', { ...login, port: 2200 })).code, 0);
    await session.end();
    // A setting that sshd reads before ours is named, with what it does.
    await machine.write('/etc/ssh/sshd_config.d/01-mine.conf', 'PasswordAuthentication yes\n');
    const look = await setUp(machine, '--check --only ssh');
    assert.is(look.steps[0]!.differences.length, 1);
    assert.match(
      look.steps[0]!.differences[0]!,
      /^sshd has passwordauthentication yes, not no: another file is read before/,
    );
    // Settings that sshd can't read: nothing is left of the run.
    await machine.write('/etc/ssh/sshd_config.d/01-mine.conf', 'NoSuchSetting yes\n');
    await machine.run('rm /etc/ssh/sshd_config.d/10-server.conf');
    const broken = await setUp(machine, '--yes --only ssh');
    assert.match(broken.steps[0]!.error!, /read the settings of sshd/);
    assert.is(await machine.run('ls /etc/ssh/sshd_config.d'), '01-mine.conf\n50-cloud-init.conf');
  } finally {
    await machine.close();
  }
});

test.run();
