/* Fail2ban's settings name what other files have. What they ban: test/long/server/fail2ban.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

test('no address is banned that Nginx trusts to name its visitors', () => {
  const trusted = [...read('nginx/snippets/cloudflare.conf').matchAll(/^set_real_ip_from (\S+);$/gm)].map(
    ([, net]) => net,
  );
  const ignored = /^ignoreip = ((?:.|\n[ \t])*)/m
    .exec(read('server/etc/fail2ban/jail.d/server.local'))![1]!
    .split(/\s+/);
  assert.ok(trusted.length > 15);
  assert.equal(ignored.filter(each => !/^(127\.|::1)/.test(each)).sort(), trusted.sort());
});

test('the login is the one that Nginx limits', () => {
  const limited = /^location ~\* \^(\S+login)/m.exec(read('nginx/snippets/api.conf'))![1]!;
  assert.ok(read('server/etc/fail2ban/filter.d/nginx-auth.conf').includes(`"(?i:${limited})/?"`));
});

test.run();
