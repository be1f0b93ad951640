/** Docker's command lines. That they do what they should is for test/stack/ to prove. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../../scripts/lib/config/config.ts';
import {
  compose,
  inspectContainers,
  listImages,
  remove,
  runOnce,
  up,
} from '../../scripts/lib/docker/commands.ts';

const line = (argv: string[]) => argv.join(' ').replaceAll(`${ROOT}/`, '');

test('Compose takes the file and the variables of the environment', () => {
  const files = 'docker compose --file docker-compose.staging.yml --env-file .env.staging';
  assert.is(
    line(compose('staging', ...up('backend-3'))),
    `${files} up --detach --no-deps --no-build --pull never --no-recreate backend-3`,
  );
  assert.is(
    line(compose('staging', ...remove('backend-3', 'backend-4'))),
    `${files} rm --stop --force backend-3 backend-4`,
  );
});

test('formats are JSON around Go templates, without the environment of a container', () => {
  const format = inspectContainers('a', 'b')[4]!;
  assert.type(JSON.parse(format.replace(/\{\{json [^}]+\}\}/g, '1')), 'object');
  assert.not.match(format, /\.Env|json \.Config\}/);
  assert.equal(inspectContainers('a', 'b').slice(-2), ['a', 'b']);
});

test('images are listed of the named repositories only', () => {
  assert.match(
    line(listImages(['host:5000/a', 'b'])),
    / --filter reference=host:5000\/a --filter reference=b$/,
  );
});

test('a one-off container has no privileges and is removed', () => {
  assert.is(
    line(runOnce('shop-migrate', 'host', 'shop/backend:2', 'sh', '-c', 'true')),
    'docker run --rm --interactive --init --name shop-migrate --network host --cap-drop ALL ' +
      '--security-opt no-new-privileges --pids-limit 256 shop/backend:2 sh -c true',
  );
});

test.run();
