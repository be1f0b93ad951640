/** Nothing of a visitor's is lost while a release is deployed, taken back, or while instances come and go. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { count } from '../../scripts/lib/text.ts';
import { crowdsOf } from './lib/crowd.ts';
import { startDeployable } from './lib/deployable.ts';

const REQUESTS = 20_000;
const deployable = await startDeployable({
  // Eight instances start on two processors that the visitors keep busy.
  DEPLOY_READY_TIMEOUT: '300s',
  // The application stops accepting at once, so that nothing but the scripts' drain can save a request.
  SHUTDOWN_LINGER_MS: '0',
});
const crowdWhile = await crowdsOf(deployable.stack);

async function losesNothing(...commands: [script: string, ...args: string[]][]): Promise<void> {
  let seconds = 0;
  const toll = await crowdWhile(REQUESTS, async () => {
    const started = performance.now();
    for (const [script, ...args] of commands) {
      const { code, stderr } = await deployable.run(script, args);
      assert.is(code, 0, stderr);
    }
    seconds = (performance.now() - started) / 1000;
  });
  const { requests, failures, examples, slowest, orders, uploads, events, reconnects, refused } = toll;
  const { ordersLost, ordersDoubled, lost, secondTries } = toll;
  const failed = Object.values(failures).reduce((sum, each) => sum + each, 0);
  console.log(
    `» ${commands.map(command => command.join(' ')).join(', ')}, ${seconds.toFixed(0)} s: ` +
      `${count(requests)} requests, ${failed} failed, ${secondTries} tried twice, slowest ${slowest.toFixed(1)} s; ` +
      `${count(orders)} orders, ${ordersLost} lost, ${ordersDoubled} doubled; ${uploads} uploads; ` +
      `${events} events to 200 clients, ${lost} lost, ${reconnects} reconnections, attempts that failed: ${JSON.stringify(refused)}`,
  );
  assert.equal({ failures, examples }, { failures: {}, examples: [] });
  assert.equal({ ordersLost, ordersDoubled, lost }, { ordersLost: 0, ordersDoubled: 0, lost: 0 });
  assert.equal(refused, {}, 'sockets that were opened again found nobody');
  assert.is(secondTries, 0, 'Nginx sent requests to an instance that was leaving');
  assert.ok(requests >= REQUESTS);
  assert.ok(Math.min(orders, uploads, events) > 0);
  // Of an instance that is replaced, the clients go to another; those that come and go again may have had none.
  if (commands[0]![0] !== 'scale') assert.ok(reconnects > 0);
}

test('a deployment loses nothing', async () => {
  await deployable.publish('v2');
  await losesNothing(['deploy', '2.0.0', '--yes']);
});

test('a rollback loses nothing', () => losesNothing(['rollback', '--yes']));

test('scaling from 2 to 8 and back loses nothing', () => losesNothing(['scale', '8'], ['scale', '2']));

test.run();
