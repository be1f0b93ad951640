/* Docker of the distribution on a bare Debian 13: its published ports are behind the firewall, and its containers start with the
   server. Bans and Nginx's log with real containers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../support/core/world.ts';
import { type Machine, OUTSIDE, SERVER, startMachine } from '../../support/server/machine.ts';
import { assertUnchanged, setUp } from '../../support/server/set-up.ts';
import { ssh } from '../../support/server/ssh-client.ts';

const ask = async (machine: Machine, address: string) =>
  (await machine.outside(['curl', '-s', '--max-time', '3', `http://${address}/`])).stdout;

/** An image of one program, made here: there is no registry. */
const IMAGE = `set -e
apt-get -qy install --no-install-recommends busybox-static >/dev/null
mkdir -p /srv/image/www && cp /bin/busybox /srv/image/ && echo -n container >/srv/image/www/index.html
tar -C /srv/image -c . | docker import - small:1 >/dev/null`;
const run = (name: string, ports: string) =>
  `docker run --detach --restart unless-stopped --name ${name} ${ports} small:1 /busybox httpd -f -p 80 -h /www`;

test('all steps; only 80 of what containers publish can be reached, before and after a restart of Docker and of the server', async () => {
  const machine = await startMachine('trixie');
  try {
    const first = await setUp(machine, '--yes');
    assert.is(
      first.code,
      0,
      JSON.stringify(first.steps.filter(({ error, left }) => error || left.length > 0)),
    );
    await machine.run(IMAGE);
    await machine.run(
      `${run('web', '--publish 80:80')} && ${run('inner', '--publish 8080:80')} && docker network create other && ${run('more', '--network other --publish 8081:80')}`,
    );
    await machine.outside(['ip', 'route', 'add', '172.16.0.0/12', 'via', SERVER]);
    const assertClosed = async () => {
      await until('the container answers', async () => (await ask(machine, SERVER)) === 'container');
      const addresses = await machine.run(
        `docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' web inner more`,
      );
      for (const closed of [`${SERVER}:8080`, `${SERVER}:8081`, ...addresses.split('\n').filter(Boolean)])
        assert.is(await ask(machine, closed), '', closed);
      for (const open of ['8080', '8081'])
        assert.is(await machine.run(`busybox wget -qO- http://127.0.0.1:${open}/`), 'container');
      assert.is((await ssh(machine, 'true')).code, 0);
    };
    await assertClosed();
    await machine.run('ufw reload && systemctl restart docker');
    await assertClosed();
    await machine.reboot();
    await assertClosed();
    await assertUnchanged(machine);
    // The workflow's key: the forced command, as the deploy user, and Docker without root.
    const asked = await ssh(machine, 'id', { user: 'deploy', key: machine.key });
    assert.is(asked.code, 2);
    assert.match(asked.stderr, /this key is not allowed to run "id", requested from/);
    assert.match(await machine.run('runuser -u deploy -- docker ps --format "{{.Names}}"'), /^web$/m);

    // What Nginx's container logs is followed, also when another one takes its name.
    const line = (client: string) =>
      `{"time":"x","id":"x","client":"${client}","method":"POST","host":"x","path":"/api/v1/auth/login","status":401,"bytes":0}`;
    for (const client of ['203.0.113.5', '203.0.113.6']) {
      await machine.run(`docker rm --force acme-nginx-production >/dev/null 2>&1 || true`);
      const lines = Array.from({ length: 12 }, () => `echo '${line(client)}'`).join('; ');
      await machine.write(
        '/srv/lines',
        `#!/busybox sh\n/busybox sleep 1\n${lines.replaceAll('echo', '/busybox echo')}\nexec /busybox sleep 1000\n`,
        0o755,
      );
      await machine.run(
        'docker run --detach --name acme-nginx-production --volume /srv/lines:/lines:ro small:1 /lines',
      );
      const banned = () => machine.run('fail2ban-client get nginx-auth banip');
      await until(`${client} is banned`, async () => (await banned()).includes(client), 40);
    }
    await machine.run(`fail2ban-client set nginx-auth banip ${OUTSIDE}`);
    assert.is(await ask(machine, SERVER), '');
    await machine.run(`fail2ban-client set nginx-auth unbanip ${OUTSIDE}`);
    assert.is(await ask(machine, SERVER), 'container');
  } finally {
    await machine.close();
  }
});

test.run();
