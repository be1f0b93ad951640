/* What init.ts says about DNS, ports, Docker and the machine. DNS is asked of a server of this test's own. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configOfText } from '../../scripts/lib/config/config.ts';
import { type Answer, dnsChecks, judgeAnswer, resolverOf } from '../../scripts/lib/setup/checks/dns.ts';
import { judgeLimits, judgeVersions } from '../../scripts/lib/setup/checks/machine.ts';
import { judgePort } from '../../scripts/lib/setup/checks/ports.ts';
import { refused } from '../support/core/in-process.ts';
import { startDns, type Zone } from '../support/setup/dns-server.ts';

const config = configOfText('production', 'APP_NAME=shop\nDOMAIN=shop.example\n');
const PROXY = '104.16.1.2';
const PROXY_6 = '2606:4700::6810:102';

/** Asks a server that has these records. @returns the status of DOMAIN, www. and API_DOMAIN, and all that is said */
async function asked(zone: Zone): Promise<{ statuses: string[]; text: string }> {
  const server = await startDns(zone);
  try {
    const checks = await dnsChecks(config, resolverOf(server.address));
    const text = checks.map(({ message, hint }) => `${message}\n  → ${hint}`).join('\n');
    return { statuses: checks.map(({ status }) => status), text };
  } finally {
    await server.stop();
  }
}

test('a real DNS server: Cloudflare’s addresses of both kinds are right, a name without any is not', async () => {
  const { statuses, text } = await asked({
    'shop.example': [PROXY, PROXY_6],
    'www.shop.example': [PROXY_6],
    'api.shop.example': [],
  });
  assert.equal(statuses, ['ok', 'ok', 'warning'], text);
  assert.match(text, /^api\.shop\.example has no address\n {2}→ add an A record: /m);
});

test('a server that fails, refuses or does not know the name: the line says which', async () => {
  const { statuses, text } = await asked({ 'shop.example': 'failure', 'www.shop.example': 'refused' });
  assert.equal(statuses, ['unknown', 'unknown', 'warning'], text);
  assert.match(text, /shop\.example could not be looked up: ESERVFAIL\n.*\n.*EREFUSED\n.*--resolver/);
  assert.match(text, /api\.shop\.example has no address/);
});

test('a server that says nothing ends the question, and what is no address is refused', async () => {
  const resolver = resolverOf('127.0.0.1:9', { timeout: 20, tries: 1 });
  const server = await startDns({
    'shop.example': 'silent',
    'www.shop.example': [PROXY],
    'api.shop.example': [PROXY],
  });
  try {
    resolver.setServers([server.address]);
    const [silent, ...others] = await dnsChecks(config, resolver);
    assert.match(silent!.message, /could not be looked up: ETIMEOUT/);
    assert.equal(
      others.map(({ status }) => status),
      ['ok', 'ok'],
    );
  } finally {
    await server.stop();
  }
  for (const wrong of ['dns.example', '', '1.2.3', '127.0.0.1:port'])
    await refused(async () => resolverOf(wrong), 2, /--resolver is no address/);
});

const judged = (answer: Partial<Answer>, own: string[]) => {
  const isCloudflare = (address: string) => address === PROXY || address === PROXY_6;
  const check = judgeAnswer({ name: 'shop.example', v4: [], v6: [], ...answer }, { own, isCloudflare });
  return [check.status, `${check.message} → ${check.hint}`] as const;
};

test('addresses are compared with those of this server', () => {
  const [SELF, SELF_6, OTHER] = ['203.0.113.7', '2001:db8::7', '198.51.100.9'];
  const own = ['10.0.0.2', SELF, SELF_6, 'fe80::1'];
  for (const [answer, status, says] of [
    [{ v4: [SELF] }, 'ok', /leads to this server/],
    [{ v4: [PROXY], v6: [PROXY_6] }, 'ok', /leads to Cloudflare/],
    [
      { v4: [OTHER] },
      'warning',
      /leads to 198\.51\.100\.9: neither .* → set its A record to 203\.0\.113\.7\./,
    ],
    [{ v4: [SELF, OTHER] }, 'warning', /leads to 198\.51\.100\.9/],
    [{ v4: [PROXY, OTHER] }, 'warning', /leads to 198\.51\.100\.9/],
    // Nginx is published on IPv4 only, also on this server's own address.
    [{ v4: [SELF], v6: [SELF_6] }, 'warning', /AAAA records .*2001:db8::7.*IPv4 only → remove them/],
    [{ v4: [SELF], v6: ['2001:db8::9'] }, 'warning', /AAAA records .*2001:db8::9/],
    [{}, 'warning', /has no address → add an A record: 203\.0\.113\.7;/],
  ] as const) {
    const [is, text] = judged(answer as Partial<Answer>, own);
    assert.is(is, status, text);
    assert.match(text, says);
  }
});

test('behind NAT it does not claim to know its address', () => {
  for (const own of [['10.0.0.2'], ['172.31.1.1', '192.168.1.5'], ['100.64.3.4', 'fe80::1'], []]) {
    const [status, text] = judged({ v4: ['198.51.100.9'] }, own);
    assert.is(status, 'unknown');
    assert.match(
      text,
      /this server’s interfaces have no public IPv4 address, so it can’t know.*→ compare it with/,
    );
  }
  // A name within the private network.
  assert.is(judged({ v4: ['10.0.0.2'] }, ['10.0.0.2'])[0], 'ok');
});

test('ports: free, of the own Nginx, of another container, of a program, or not to be seen', () => {
  const OWN = 'shop-nginx-production';
  for (const [programs, containers, status, says] of [
    [[], [], 'ok', /port 80 is free/],
    [['docker-proxy (process 7)'], [OWN], 'ok', /is held by shop-nginx-production/],
    [[], [OWN], 'ok', /is held by shop-nginx-production/], // Docker without its proxy
    [
      ['docker-proxy (process 7)'],
      ['shop-nginx-staging'],
      'warning',
      /container shop-nginx-staging.*HTTP_PORT/s,
    ],
    [['apache2 (process 9)'], [], 'warning', /is held by apache2 \(process 9\)/],
    [undefined, [], 'unknown', /iproute2/],
  ] as const) {
    const check = judgePort('80', programs && [...programs], [...containers], OWN);
    assert.is(check.status, status);
    assert.match(`${check.message}\n${check.hint}`, says);
  }
});

test('versions are compared by number', () => {
  for (const [engine, compose, status] of [
    ['26.1.5+dfsg1', '2.40.3', 'ok'],
    ['25.0.0', 'v2.26.1', 'ok'],
    ['24.0.9', '2.40.0', 'warning'],
    ['26.1.5', '2.9.0', 'warning'],
    ['29.0.0-rc.1', '5.0.0', 'ok'],
  ] as const)
    assert.is(judgeVersions(engine, compose).status, status, `${engine} ${compose}`);
});

test('the limits of the containers are compared with the machine', () => {
  const services = {
    'backend-1': { mem_limit: '1073741824', cpus: 2 },
    postgres: { mem_limit: '4294967296', cpus: 4 },
    plain: {},
  };
  const lines = (memory: number, processors: number) =>
    judgeLimits({ services }, memory, processors).map(({ status, message }) => `${status}: ${message}`);
  assert.equal(
    lines(16 * 2 ** 30, 4).map(line => line.split(':')[0]),
    ['ok', 'ok'],
  );
  const [memory, processors] = lines(4 * 2 ** 30, 2);
  assert.match(memory!, /^warning: .* add up to 5\.00 GiB, and this server has 4\.00 GiB/);
  assert.match(processors!, /^warning: .*\(2\): postgres$/);
});

test.run();
