/* Who may pass while the maintenance page is on. That Nginx reads them in the same way: test/stack/headers.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeMaintenance, parseVisitors } from '../../scripts/lib/nginx/maintenance.ts';

test('addresses of visitors, each once; of IPv6 the network of 64 bits, in Nginx’s way of writing', () => {
  const cases: [text: string, visitors: string[]][] = [
    ['203.0.113.7', ['203.0.113.7']],
    ['203.0.113.7/32', ['203.0.113.7']],
    ['203.0.113.7, 198.51.100.1,203.0.113.7', ['203.0.113.7', '198.51.100.1']],
    ['2001:db8::1', ['2001:db8:0:0::/64']],
    ['2001:DB8:0:0001::/64', ['2001:db8:0:1::/64']],
    ['2001:0db8:0000:0001:aaaa:bbbb:cccc:dddd/128', ['2001:db8:0:1::/64']],
    ['2001::1:2:3:4:5', ['2001:0:0:1::/64']],
    ['2001:db8:7::1,2001:db8:7:0::2', ['2001:db8:7:0::/64']],
    ['2001:db8:1:2::', ['2001:db8:1:2::/64']],
  ];
  for (const [text, visitors] of cases) assert.equal(parseVisitors(text), visitors, text);
});

test('what is no visitor is refused: it would be the name of a file', () => {
  const wrong = [
    ...['', ',', '203.0.113.7,', '203.0.113', '203.0.113.256', '203.0.113.0/24', '203.0.113.7/', '*'],
    ...[
      '2001:db8::/48',
      '2001:db8::/65',
      '2001:db8::1/',
      '2001:db8:::1',
      'fe80::1%eth0',
      '::ffff:203.0.113.7',
    ],
    ...['::1', '::', '::ffff:cb00:7107', '../on', '203.0.113.7/../../x', 'localhost', 'acme.example'],
  ];
  for (const text of wrong)
    assert.throws(
      () => parseVisitors(text),
      (error: { message: string; exitCode: number }) =>
        /is not the address of a visitor$/.test(error.message) && error.exitCode === 2,
      JSON.stringify(text),
    );
});

test('one sentence says since when and for whom', () => {
  const since = new Date('2026-01-31T02:00:07Z');
  assert.is(
    describeMaintenance({ since, allowed: [] }),
    'on since 2026-01-31 02:00:07 UTC: all visitors get 503',
  );
  assert.match(describeMaintenance({ since, allowed: ['203.0.113.7'] }), /: all but 203\.0\.113\.7 get 503$/);
});

test.run();
