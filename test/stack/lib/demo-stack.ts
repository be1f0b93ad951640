/** The stack of `npm run demo`, until a signal comes or its standard input ends; `test/demo.ts` starts it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exports } from '../../engine/engine.ts';
import { say } from '../../engine/process.ts';
import { REFERENCE } from '../../support/app/app-images.ts';
import { type Deployable, startDeployable } from './deployable.ts';
import { hostOf } from './http.ts';

// Before the stack's own handlers, which end a test that was stopped as one that failed, with the logs of all containers.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
process.stdin.resume().once('end', () => process.exit(0));

/** What a shell of the operator's needs, in a file of the stack's directory. */
function writeEnvironment({ stack }: Deployable): void {
  writeFileSync(join(stack.directory, 'ca.pem'), stack.ca);
  // Nginx has a certificate that it signed itself: the scripts and curl are told to trust it.
  const lines = [exports(stack.engine), `export NODE_EXTRA_CA_CERTS='${join(stack.directory, 'ca.pem')}'`];
  writeFileSync(join(stack.directory, 'demo.env'), `${lines.join('\n')}\n`, { mode: 0o600 });
}

function describe({ stack }: Deployable, next: string): string {
  const curl = `curl -sS --fail --http1.1 --cacert ca.pem --connect-to ::127.0.0.1:${stack.httpsPort}`;
  const enter = `cd ${stack.directory} && . ./demo.env`;
  const health = `https://${hostOf(stack, 'api')}/api/v1/health`;
  return `
The production stack is running: Nginx, two backends, the frontend, PostgreSQL and Redis, version 1.0.0.

  Address   127.0.0.1:${stack.httpsPort}, for https://${hostOf(stack, 'site')} and https://${hostOf(stack, 'api')}
  Files     ${stack.directory}

Visit it: paste this into a second terminal. It sends five requests a second, and counts those that fail.

  ${enter}
  ${curl} https://${hostOf(stack, 'site')}/ | head
  n=0 f=0; while sleep 0.2; do a=$(${curl} ${health}) || f=$((f+1)); n=$((n+1)); printf '\\r%s requests, %s failed; %s ' $n $f "$a"; done

Operate it: paste this into a third terminal, line by line, and watch the second one.

  ${enter}
  ./scripts/backup.ts
  ./scripts/health-check.ts
  ./scripts/deploy.ts ${next} --yes
  ./scripts/rollback.ts --yes

Ctrl-C here ends the demo and removes all of it.
`;
}

try {
  say('Building images and starting the stack: some minutes the first time, later half a minute …');
  const demo = await startDeployable({}, { keepalive: '5s', address: '127.0.0.1', application: REFERENCE });
  const { tag } = await demo.publish('v2');
  writeEnvironment(demo);
  console.log(describe(demo, tag));
} catch (error) {
  say((error as Error).message);
  process.exit(1);
}
