/* What of a server can be reached from outside, probed from a second network: with the rules that Docker makes for published
   ports, and with its own ports. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startChild } from '../../support/core/child.ts';
import { until } from '../../support/core/world.ts';
import { type Machine, OUTSIDE, REPOSITORY, SERVER, startMachine } from '../../support/server/machine.ts';
import { setUp } from '../../support/server/set-up.ts';
import { ssh } from '../../support/server/ssh-client.ts';

/** @returns what answers: the body, or why there is none */
async function ask(machine: Machine, address: string): Promise<string> {
  const { code, stdout } = await machine.outside(['curl', '-sS', '--max-time', '3', `http://${address}/`]);
  return code === 0 ? stdout : ({ 7: 'refused', 28: 'nothing' }[code] ?? `curl: ${code}`);
}

test('22, 80 and 443 answer; a port that a container or the server opens does not; containers reach the world', async () => {
  const machine = await startMachine('bookworm');
  const [program, ...args] = machine.outsideArgv(['python3', '-m', 'http.server', '8000', '--bind', OUTSIDE]);
  const world = startChild(program!, args, { cwd: import.meta.dirname });
  try {
    await machine.run(
      'apt-get -q update && apt-get -qy install --no-install-recommends python3 iptables procps',
    );
    await machine.run(`${REPOSITORY}/test/support/server/published.sh`);
    await machine.run(`systemd-run --quiet --unit own python3 -m http.server 3000`);
    await machine.run('ip netns exec container true');
    await machine.outside(['ip', 'route', 'add', '172.30.0.0/16', 'via', SERVER]);
    await until('the container answers', async () => (await ask(machine, `${SERVER}:8080`)) === 'container');
    assert.is(await ask(machine, '172.30.0.2'), 'container', 'so far everything is open');
    const first = await setUp(machine, '--yes --only firewall');
    assert.is(first.code, 0, JSON.stringify(first.steps));
    const assertClosed = async () => {
      assert.is(await ask(machine, SERVER), 'container');
      assert.is(
        await ask(machine, `${SERVER}:443`),
        'refused',
        'nobody listens, and the firewall lets it through',
      );
      assert.is((await ssh(machine, 'true')).code, 0);
      for (const closed of ['172.30.0.2:80', `${SERVER}:8080`, `${SERVER}:3000`, '172.30.0.2:8080'])
        assert.is(await ask(machine, closed), 'nothing', closed);
    };
    await assertClosed();
    const out = `ip netns exec container python3 -c "import urllib.request; urllib.request.urlopen('http://${OUTSIDE}:8000/', timeout=5)"`;
    await machine.run(out);
    // What sets the rules of UFW again leaves those of containers.
    await machine.run('ufw reload && ufw disable && ufw --force enable');
    await assertClosed();
    // Without the chain, everything that is published is open: the look says so, and a run closes it.
    await machine.run('iptables -F DOCKER-USER');
    assert.is(await ask(machine, `${SERVER}:8080`), 'container');
    const look = await setUp(machine, '--check --only firewall');
    assert.match(look.steps[0]!.differences.join('\n'), /the chain DOCKER-USER of iptables is empty/);
    assert.is((await setUp(machine, '--yes --only firewall')).code, 0);
    await assertClosed();
    await machine.run(out);
  } finally {
    await world.stop();
    await machine.close();
  }
});

test('a rule that refuses SSH, and another firewall, stop the step before it changes what is let in', async () => {
  const machine = await startMachine('bookworm');
  try {
    await machine.run(
      'apt-get -q update && apt-get -qy install --no-install-recommends ufw iptables nftables',
    );
    await machine.run('ufw deny 22/tcp');
    const denied = await setUp(machine, '--yes --only firewall');
    assert.match(denied.steps[0]!.error!, /a rule of UFW refuses 22\/tcp/);
    assert.match(await machine.run('ufw status'), /inactive/);
    await machine.run('ufw delete deny 22/tcp && systemctl start nftables');
    const other = await setUp(machine, '--yes --only firewall');
    assert.match(other.steps[0]!.error!, /nftables\.service is active/);
    assert.match(await machine.run('ufw status'), /inactive/);
    assert.is((await ssh(machine, 'true')).code, 0);
    // An operator who lets in one address keeps that.
    await machine.run(
      `systemctl stop nftables && ufw allow from ${OUTSIDE} to any port 22 proto tcp && ufw --force enable`,
    );
    const narrow = await setUp(machine, '--yes --only firewall');
    assert.is(narrow.code, 0);
    assert.not.match(narrow.steps[0]!.done.join('\n'), /allowed 22/);
    assert.is((await ssh(machine, 'true')).code, 0);
  } finally {
    await machine.close();
  }
});

test.run();
