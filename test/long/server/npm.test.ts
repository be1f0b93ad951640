/* The README's first step with the oldest Node.js and npm of all systems: it brings the Node.js that the scripts use. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startMachine } from '../../support/server/machine.ts';
import { bringRepository, readmeSteps } from '../../support/server/readme.ts';

test('npm of Ubuntu 22.04, on its Node.js 12, installs all that the scripts need', async () => {
  const machine = await startMachine('jammy', { bare: true });
  try {
    const paste = await bringRepository(machine);
    await paste(readmeSteps()[0]!);
    assert.match(await machine.run('node --version && npm --version'), /^v12\..*\n8\./);
    await paste(
      './scripts/init.ts --yes --domain acme.example --backend-image backend:1 --frontend-image frontend:1',
    );
    const look = await machine.script('setup-server.ts --check --only modules');
    assert.is(look.code, 0, look.stdout + look.stderr);
  } finally {
    await machine.close();
  }
});

test.run();
