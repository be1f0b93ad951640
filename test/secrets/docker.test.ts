/* Where a container shows a secret that does not belong there. That Docker says it in this form: test/stack/services.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { containerFindings, type Inspected } from '../../scripts/lib/secrets/checks/docker.ts';

const VALUE = 'c0ffee00c0ffee11c0ffee22';
const secrets = new Map([
  ['REDIS_PASSWORD', VALUE],
  ['SHORT_TOKEN', 'abc'],
]);
const ours = { 'com.docker.compose.project': 'shop-production' };
const container = (more: Partial<Inspected> & { Config?: Partial<Inspected['Config']> }): Inspected => ({
  Name: '/tool',
  Path: 'sh',
  Args: [],
  ...more,
  Config: { Env: null, Labels: null, ...more.Config },
});
const found = (each: Inspected) =>
  containerFindings([each], secrets, 'shop-production').map(({ message }) => message);

test('arguments, labels and health checks of any container; variables only of other projects', () => {
  const cases: [Parameters<typeof container>[0], RegExp | undefined][] = [
    [{ Args: ['-c', `redis-cli -a ${VALUE}`] }, /^tool: its arguments have the value of REDIS_PASSWORD$/],
    [{ Path: VALUE, Config: { Env: null, Labels: ours } }, /arguments/],
    [{ Config: { Env: null, Labels: { ...ours, note: VALUE } } }, /labels/],
    [{ Config: { Env: null, Labels: ours, Healthcheck: { Test: ['CMD', VALUE] } } }, /health check/],
    [
      {
        Config: {
          Env: [`URL=redis://:${VALUE}@redis`],
          Labels: { ...ours, 'com.docker.compose.project': 'other' },
        },
      },
      /variables/,
    ],
    [{ Config: { Env: [`A=${VALUE}`], Labels: null } }, /variables/],
    [{ Config: { Env: [`REDISCLI_AUTH=${VALUE}`], Labels: ours } }, undefined],
    [{ Args: ['abc'] }, undefined],
    [{}, undefined],
  ];
  for (const [more, expected] of cases) {
    const messages = found(container(more));
    if (!expected) assert.equal(messages, []);
    else {
      assert.is(messages.length, 1, JSON.stringify(more));
      assert.match(messages[0]!, expected);
      assert.not.ok(messages[0]!.includes(VALUE));
    }
  }
});

test.run();
