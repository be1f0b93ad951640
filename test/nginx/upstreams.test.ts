import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import {
  down,
  instances,
  isDown,
  lineFor,
  parseUpstream,
  serviceOf,
  withServers,
} from '../../scripts/lib/nginx/upstreams.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

test('the backends of a list, without comments, and which are marked down', () => {
  assert.equal(instances(parseUpstream(read('nginx/upstreams/backend.conf'))), {
    serving: ['backend-1', 'backend-2'],
    down: [],
  });
  const text = `# server backend-9:3000;
    server backend-1:3000 weight=1 route=backend-1 resolve;
    server backend-2:3000 down; server backend-3:3000;`;
  assert.equal(instances(parseUpstream(text)), { serving: ['backend-1', 'backend-3'], down: ['backend-2'] });
  assert.equal(instances(parseUpstream('')), { serving: [], down: [] });
});

test('a list keeps its comments and their order; a server takes the comment behind it along', () => {
  const [one, two, three] = [1, 2, 3].map(n => `server backend-${n}:3000 weight=1 resolve;`) as [
    string,
    string,
    string,
  ];
  const text = `# why\n  ${one} # rack A\n\n# server backend-9:3000;\n  ${two}\n# end\n`;
  assert.is(withServers(text, [one, two]), text);
  assert.is(withServers(text.trimEnd(), [one, two]), text);
  assert.is(
    withServers(text, [down(one), two, three]),
    text.replace(one, down(one)).replace(two, `${two}\n  ${three}`),
  );
  assert.is(withServers(text, [two]), `# why\n  # rack A\n  ${two}\n\n# server backend-9:3000;\n# end\n`);
  assert.is(
    withServers(text, [two, one]),
    `# why\n  ${two}\n\n# server backend-9:3000;\n  ${one} # rack A\n# end\n`,
  );
  for (const unusual of [
    '',
    '# none\n',
    `${one} ${two}\n`,
    'server backend-1:3000\n  resolve;\n',
    `${one}\r\n`,
  ])
    assert.equal(parseUpstream(withServers(unusual, [two, three])), [two, three], unusual);
});

test('lines of an upstream list', () => {
  const line = 'server backend-1:3000 weight=5 max_fails=3 fail_timeout=0s route=backend-1 resolve;';
  assert.is(serviceOf(line), 'backend-1');
  assert.is(
    lineFor('backend-3', line),
    'server backend-3:3000 weight=1 max_fails=3 fail_timeout=0s route=backend-3 resolve;',
  );
  assert.is(down(line), line.replace(';', ' down;'));
  assert.is(down(down(line)), down(line));
  assert.equal([line, down(line), line.replace('resolve', 'down resolve')].map(isDown), [false, true, true]);
  assert.is(lineFor('backend-3', down(line)), lineFor('backend-3', line), 'one more serves');
});

test.run();
