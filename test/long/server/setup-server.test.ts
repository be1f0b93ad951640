/* setup-server.ts on bare servers that debootstrap made, with systemd as process 1 and a network of their own. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BREAKS, DOCKER_BREAKS } from '../../support/server/breaks.ts';
import { startMachine } from '../../support/server/machine.ts';
import { SUITES } from '../../support/server/roots.ts';
import { assertMends, assertSetsUp, assertUnchanged, setUp } from '../../support/server/set-up.ts';

for (const suite of SUITES)
  test(`a bare ${suite}: all steps, no change by a second run, each break named and mended, and all there after a restart`, async () => {
    const machine = await startMachine(suite);
    try {
      await assertSetsUp(machine);
      const hasDocker = (await machine.attempt('docker version')).code === 0;
      assert.ok(
        hasDocker || suite === 'bookworm',
        'there is Docker, or it is too old and its repository out of reach',
      );
      await assertMends(machine, hasDocker ? [...BREAKS, ...DOCKER_BREAKS] : BREAKS);
      if (hasDocker)
        assert.match(await machine.run('cat /etc/docker/daemon.json'), /"debug": false/, 'the operator’s');
      // As npm ci leaves it: what root's next run compiles must not be root's in it.
      await machine.run('runuser -u deploy -- rm -r /opt/acme/node_modules/.cache');
      await machine.reboot();
      await assertUnchanged(machine);
    } finally {
      await machine.close();
    }
  });

test('without a terminal it asks for --yes; another user is refused; an unknown step is named', async () => {
  const machine = await startMachine('bookworm');
  try {
    const asked = await machine.script('setup-server.ts');
    assert.is(asked.code, 2);
    assert.match(asked.stderr, /no terminal.*\n.*add --yes/);
    const user = await machine.attempt(
      'cd /opt/acme && chmod 644 .env.production && setpriv --reuid=1000 --regid=1000 --clear-groups ./scripts/setup-server.ts --check',
    );
    assert.is(user.code, 2);
    assert.match(user.stderr, /only root can/);
    const unknown = await machine.script('setup-server.ts --check --only sysctls');
    assert.is(unknown.code, 2);
    assert.match(unknown.stderr, /no step is called "sysctls"\n {2}→ the steps are sysctl, limits, /);
    const one = await setUp(machine, '--yes --only limits,sysctl');
    assert.equal(
      one.steps.map(({ step }) => step),
      ['sysctl', 'limits'],
    );
    assert.is(one.code, 0);
    // What an operator has decided otherwise stays, and is said.
    await machine.run(`echo 'APT::Periodic::Unattended-Upgrade "0";' >/etc/apt/apt.conf.d/99z-mine`);
    const upgrades = await machine.script('setup-server.ts --yes --only upgrades');
    assert.is(upgrades.code, 1);
    assert.match(
      upgrades.stderr,
      /! still: apt does not have APT::Periodic::Unattended-Upgrade "1": delete it from \/etc\/apt\/apt\.conf\.d\/99z-mine/,
    );
  } finally {
    await machine.close();
  }
});

test('what only an operator can decide is said, and changed by nobody', async () => {
  const machine = await startMachine('bookworm');
  try {
    // A key that can run any command stays, and is named; so is a repository that the deploy user can't reach.
    assert.is((await setUp(machine, '--yes --only user')).code, 0);
    const keys = '/home/deploy/.ssh/authorized_keys';
    await machine.run(`cat /root/.ssh/authorized_keys >>${keys}`);
    const before = await machine.run(`cat ${keys}`);
    const user = await setUp(machine, '--yes --only user');
    assert.is(user.code, 1);
    assert.match(user.steps[0]!.error!, /the key operator .* can run any command\n.*delete its line from/);
    assert.is(await machine.run(`cat ${keys}`), before);
    await machine.run('mkdir /root/acme && mount --bind /opt/acme /root/acme');
    const far = await machine.attempt('/root/acme/scripts/setup-server.ts --yes --only directories');
    assert.is(far.code, 1);
    assert.match(far.stderr, /deploy can't enter \/root\/acme: .*\n.*mv \/root\/acme \/opt\/acme/);
    assert.is(await machine.run('stat -c %U /opt/acme'), 'root');

    // Swap, up to the kernel, which is that of the tests' machine and gets none.
    await machine.write('/usr/local/bin/systemd-detect-virt', '#!/bin/sh\necho none\n', 0o755);
    const swap = await setUp(machine, '--yes --only swap');
    assert.match(swap.steps[0]!.error!, /could not start swapfile\.swap/);
    assert.is(await machine.run('stat -c "%a %s %U" /swapfile'), '600 2147483648 root');
    await machine.run('swaplabel /swapfile && systemd-analyze verify swapfile.swap && rm /swapfile');
  } finally {
    await machine.close();
  }
});

test.run();
