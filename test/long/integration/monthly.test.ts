/* maintenance.ts monthly where something fails. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestName } from '../../../scripts/lib/backup/manifest.ts';
import {
  BACKUP_DIR,
  backup,
  docker,
  env,
  images,
  monthly,
  npm,
  registry,
  STATE_DIR,
  world,
} from '../../support/maintenance/monthly-world.ts';

test.after(world.stop);

test('without a network it says so for each, does the rest, and ends with 1', async () => {
  docker.write({ images, containers: [] });
  npm(JSON.stringify({ error: { code: 'ENOTFOUND', summary: 'request to the registry failed' } }), '{}');
  const { code, of } = await monthly('--dry-run');
  assert.is(code, 1);
  assert.match(of('images').errors[0]!, /could not find .*no such host\n {2}→ check the network/);
  assert.match(
    of('npm').errors[0]!,
    /could not list newer versions of packages: ENOTFOUND: request .*\n {2}→ check the network/,
  );
  assert.equal([of('table').errors, of('table').done], [[], []]);
  npm('{}', JSON.stringify({ message: 'request to the registry failed', error: {} }));
  assert.match((await monthly('--dry-run')).of('npm').errors[0]!, /could not list advisories: request/);
  docker.write({ images, containers: [], registry });
  npm('', JSON.stringify({ vulnerabilities: {} }));
  assert.is(
    (await monthly('--dry-run')).of('npm').found,
    '0 packages with a newer patch version, 0 packages with an advisory',
  );
});

test('a damaged backup is exit code 3; a secret that others can read is a difference', async () => {
  const file = join(BACKUP_DIR!, manifestName(backup.id));
  const { artifact } = JSON.parse(readFileSync(file, 'utf8'));
  chmodSync(STATE_DIR!, 0o755);
  const open = await monthly('--dry-run');
  assert.is(open.code, 1);
  assert.match(
    open.of('permissions').errors[0]!,
    /has mode 755, not 700\n {2}→ .*setup-server\.ts --only directories/,
  );
  chmodSync(STATE_DIR!, 0o700);
  const path = join(BACKUP_DIR!, artifact.name);
  const damaged = readFileSync(path);
  damaged[damaged.length >> 1]! ^= 0xff;
  writeFileSync(path, damaged);
  env.S3_BUCKET = ''; // the copy there is whole
  const { code, of } = await monthly();
  assert.is(code, 3);
  assert.match(of('table').errors[0]!, /has changed: its SHA-256 is not that of its manifest/);
  assert.equal(of('permissions').errors, []);
});

test.run();
