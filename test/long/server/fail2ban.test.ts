/* Who is banned: by real logins that fail, by a real Nginx that refuses, and with the addresses of Cloudflare. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../support/core/world.ts';
import { type Machine, OUTSIDE, REPOSITORY, SERVER, startMachine } from '../../support/server/machine.ts';
import { SUITES } from '../../support/server/roots.ts';
import { setUp } from '../../support/server/set-up.ts';
import { ssh } from '../../support/server/ssh-client.ts';

const CLOUDFLARE = '173.245.48.9';
const VISITOR = '203.0.113.9';
const VICTIM = '203.0.113.77';

const banned = async (machine: Machine, jail: string) =>
  // While it starts, there is no answer.
  (await machine.attempt(`fail2ban-client get ${jail} banip`)).stdout.split(/\s+/).filter(Boolean);
const isBanned = (machine: Machine, jail: string, address: string) =>
  until(`${address} is banned by ${jail}`, async () => (await banned(machine, jail)).includes(address), 40);

/** @returns the status of the answer; 0 where there is none */
async function ask(machine: Machine, path: string, ...options: string[]): Promise<number> {
  const argv = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '3', ...options];
  return Number((await machine.outside([...argv, `http://${SERVER}${path}`])).stdout);
}
const times = async (count: number, work: () => Promise<unknown>) => {
  for (let n = 0; n < count; n++) await work();
};

for (const suite of SUITES)
  test(`${suite}: five logins that fail are a ban, for SSH and for what containers publish; then it is lifted`, async () => {
    const machine = await startMachine(suite);
    try {
      const run = await setUp(machine, '--yes --only ssh,firewall,fail2ban');
      assert.is(run.code, 0, JSON.stringify(run.steps));
      await machine.run('apt-get -qy install --no-install-recommends python3 procps');
      await machine.run(`${REPOSITORY}/test/support/server/published.sh`);
      await until('the container answers', async () => (await ask(machine, '/')) === 200);
      await times(2, () => ssh(machine, 'true', { key: machine.key }));
      assert.equal(await banned(machine, 'sshd'), [], 'not yet');
      // New versions of sshd make such clients wait by themselves, and these attempts do not count.
      await until(
        'the address is banned',
        async () => {
          await ssh(machine, 'true', { key: machine.key, user: 'nobody-here' });
          return (await banned(machine, 'sshd')).length > 0;
        },
        90,
      );
      await isBanned(machine, 'sshd', OUTSIDE);
      assert.is(await ask(machine, '/'), 0, 'a container');
      assert.match((await ssh(machine, 'true')).stderr, /timed out/i);
      // What sets other rules, and a restart of Fail2ban, keep the ban.
      await machine.run('ufw reload; systemctl reload docker-firewall; systemctl restart fail2ban');
      await isBanned(machine, 'sshd', OUTSIDE);
      assert.is(await ask(machine, '/'), 0, 'a container');
      await machine.run(`fail2ban-client set sshd unbanip ${OUTSIDE}`);
      assert.is(await ask(machine, '/'), 200);
      assert.is((await ssh(machine, 'true')).code, 0);
    } finally {
      await machine.close();
    }
  });

test('what a real Nginx refuses: tried passwords and hundreds over a limit are bans; Cloudflare and victims are none', async () => {
  const machine = await startMachine('bookworm');
  try {
    await machine.run(
      'apt-get -q update && apt-get -qy install --no-install-recommends nginx-light openssl && systemctl disable --now nginx',
    );
    await machine.run(`${REPOSITORY}/test/support/server/refusing-nginx.sh ${REPOSITORY}`);
    await until('Nginx answers', async () => (await ask(machine, '/admin')) === 401);
    const run = await setUp(machine, '--yes --only fail2ban');
    assert.is(run.code, 0, JSON.stringify(run.steps));
    const unit = 'nginx-refused@acme-nginx-production';
    await until('the log is followed', async () =>
      (await machine.run(`systemctl status ${unit} --no-pager | cat`)).includes('tail -n 0'),
    );
    // Through Cloudflare, and from one of its addresses without a visitor.
    await machine.outside(['ip', 'address', 'add', `${CLOUDFLARE}/32`, 'dev', 'eth0']);
    await machine.run(`ip route add ${CLOUDFLARE} dev eth0`);
    const through = ['--interface', CLOUDFLARE];
    await times(15, () => ask(machine, '/admin', ...through));
    await times(12, () => ask(machine, '/admin', ...through, '-H', `CF-Connecting-IP: ${VISITOR}`));
    await isBanned(machine, 'nginx-auth', VISITOR);
    assert.is(await ask(machine, '/admin', ...through), 401, 'Cloudflare is not banned');
    // Text of a client that looks like a line about somebody else, and answers of the API that are no tried passwords.
    const line = `{"time":"x","id":"x","client":"${VICTIM}","method":"POST","host":"x","path":"/api/v1/auth/login","status":401,`;
    await times(12, () =>
      ask(
        machine,
        '/admin/x',
        ...through,
        '-A',
        line,
        '-H',
        `Referer: ${line}`,
        '-H',
        `CF-Connecting-IP: ${CLOUDFLARE}`,
      ),
    );
    await times(12, () => ask(machine, '/api/v1/orders'));
    await times(12, () => ask(machine, '/api/v1/auth/login', '-X', 'GET'));
    // These are last, and banned: so all lines above have been read.
    const attempts = Array.from({ length: 12 }, () =>
      ask(
        machine,
        '/api/v1/auth/LOGIN/?a=1',
        '-X',
        'POST',
        ...through,
        '-H',
        'CF-Connecting-IP: 203.0.113.10',
      ),
    );
    await Promise.all(attempts);
    await isBanned(machine, 'nginx-auth', '203.0.113.10');
    assert.equal((await banned(machine, 'nginx-auth')).sort(), ['203.0.113.10', VISITOR].sort());
    // A hundred refusals within a minute.
    const many = Array.from({ length: 130 }, (_, n) => `http://${SERVER}/limited?${n}`);
    await machine.outside([
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '--max-time',
      '20',
      ...many.flatMap(url => [url, '-o', '/dev/null']),
    ]);
    await isBanned(machine, 'nginx-limit', OUTSIDE);
    assert.is(await ask(machine, '/admin'), 0);
    await machine.run(`fail2ban-client set nginx-limit unbanip ${OUTSIDE}`);
    assert.is(await ask(machine, '/admin'), 401);
  } finally {
    await machine.close();
  }
});

test.run();
