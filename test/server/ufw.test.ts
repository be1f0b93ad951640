/* What UFW, ss and sshd print, and what of it is about a port. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSettings, portsOfSockets } from '../../scripts/lib/server/sshd.ts';
import { concerns, parseRules, parseStatus } from '../../scripts/lib/server/ufw.ts';

const rule = (line: string) => {
  const [found] = parseRules(`Added user rules (see 'ufw status' for running firewall):\n${line}\n`);
  assert.ok(found, line);
  return found;
};

test('a rule for everybody', () => {
  for (const line of [
    'ufw allow 22/tcp',
    'ufw allow 22',
    'ufw limit 22/tcp',
    "ufw allow 22/tcp comment 'SSH'",
    'ufw allow OpenSSH',
    'ufw allow ssh',
    'ufw allow 20:25/tcp',
    'ufw allow 22,80,443/tcp',
    'ufw allow log 22/tcp',
  ])
    assert.is(concerns(rule(line), 22), 'all', line);
});

test('a rule for some: an address, a network, an interface, and one that names no port', () => {
  for (const line of [
    'ufw allow from 203.0.113.7 to any port 22 proto tcp',
    'ufw allow from 10.0.0.0/8 to any port 20:25 proto tcp',
    'ufw allow in on eth1 to any port 22 proto tcp',
    'ufw allow from 203.0.113.7',
    'ufw deny from 203.0.113.7',
  ])
    assert.is(concerns(rule(line), 22), 'some', line);
});

test('a rule of another port, protocol or direction', () => {
  for (const line of [
    'ufw allow 2222/tcp',
    'ufw allow 22/udp',
    'ufw allow 80,443/tcp',
    'ufw allow from 10.0.0.1 to any port 5432 proto tcp',
    'ufw allow from 10.0.0.1 to any port 22 proto udp',
  ])
    assert.is(concerns(rule(line), 22), undefined, line);
  assert.equal(parseRules('ufw allow out 22/tcp\nufw route allow 22/tcp\n(None)\n'), []);
});

test('the state of UFW', () => {
  const text =
    'Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\nNew profiles: skip\n';
  assert.equal(parseStatus(text), { active: true, incoming: 'deny', routed: 'disabled' });
  assert.equal(parseStatus('Status: inactive\n'), { active: false, incoming: '', routed: '' });
});

test('the ports of sshd, without those of this machine only and those of others', () => {
  const text = [
    'LISTEN 0 128 0.0.0.0:2222 0.0.0.0:* users:(("sshd",pid=81,fd=3))',
    'LISTEN 0 128 [::]:2222 [::]:* users:(("sshd",pid=81,fd=4))',
    'LISTEN 0 128 127.0.0.1:6010 0.0.0.0:* users:(("sshd",pid=99,fd=8))',
    'LISTEN 0 4096 *:22 *:* users:(("sshd",pid=7,fd=3),("systemd",pid=1,fd=50))',
    'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=5,fd=6))',
  ].join('\n');
  assert.equal(portsOfSockets(text), [2222, 2222, 22]);
});

test('settings of sshd, whatever the case of their names', () => {
  const settings = parseSettings(
    '# a\nport 22\nport 2222\nPasswordAuthentication no\nallowusers root admin\n',
  );
  assert.equal(settings.get('port'), ['22', '2222']);
  assert.equal(settings.get('passwordauthentication'), ['no']);
  assert.equal(settings.get('allowusers'), ['root admin']);
});

test.run();
