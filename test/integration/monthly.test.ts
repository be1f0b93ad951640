/* maintenance.ts monthly: updates from stand-ins of the registries, a real restore of a table, real permissions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  backup,
  monthly,
  next,
  nginx,
  postgres,
  STATE_DIR,
  world,
} from '../support/maintenance/monthly-world.ts';
import { databases } from '../support/postgres/compare.ts';

test.after(world.stop);

/** Without a network, and with a damaged backup: test/long/integration/monthly.test.ts. */
test('all is looked at; a table with rows comes back in a scratch database, of which nothing stays', async () => {
  const before = await databases(world);
  const { code, stderr, of } = await monthly();
  assert.is(code, 0, stderr);
  const version = (image: string) => image.split(':').at(-1);
  assert.equal(of('images').notes, [
    `${nginx}: ${version(next(nginx!))} is there`,
    `${postgres} was built again since it was pulled, for packages in it: docker pull ${postgres}`,
  ]);
  assert.is(of('npm').found, '1 package with a newer patch version, 1 package with an advisory');
  assert.equal(of('npm').notes, [
    'zx 8.8.5: 8.8.9 is there',
    'newer minor or major versions: valibot 2.0.0',
    'ws (high): DoS of a server, https://example.org/GHSA-1; through other',
  ]);
  assert.is(of('system').found, '2 updates of the system, 1 of them for security');
  assert.match(
    of('system').notes.join('\n'),
    /^security: openssl 3\.0\.1 → 3\.0\.2; .*\nothers: tzdata 2026a → 2026b; /,
  );
  assert.match(of('table').found, /^one table at random of 1 in /);
  assert.match(
    of('table').done[0]!,
    /^restore table "shop"\."orders" \(500 rows\) of .* loaded, copied and compared$/,
  );
  assert.match(of('permissions').found, /^the directories and env files belong to /);
  assert.equal(await databases(world), before);
  assert.equal(
    await world.rows(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored%'`),
    [],
    'live',
  );
  assert.match(
    readFileSync(join(STATE_DIR!, 'backup-checks.jsonl'), 'utf8'),
    new RegExp(`${backup.id}.*loaded`),
  );
});

test.run();
