/** Work on a stack that costs none of its visitors a request. */
import * as assert from 'uvu/assert';
import { count } from '../../../scripts/lib/text.ts';
import { crowdsOf } from './crowd.ts';
import { type Deployable, startDeployable } from './deployable.ts';

type Command = [script: string, ...args: string[]];

/** A stack for visitors that keep their connections, and a way to run scripts while they are there. */
export async function startVisited(): Promise<
  Deployable & {
    /**
     * Does pieces of work one after the other, each of scripts.
     *
     * @param requests that end `during` each piece at least, and in `total` at least: so long the visitors stay
     * @throws if a visitor has lost something
     */
    losesNothing: (requests: { during: number; total: number }, ...pieces: Command[][]) => Promise<void>;
  }
> {
  const deployable = await startDeployable(
    {
      // Instances start on processors that the visitors keep busy.
      DEPLOY_READY_TIMEOUT: '300s',
      DEPLOY_BAKE_SECONDS: '0',
      // The application stops accepting at once, so that nothing but the scripts' drain can save a request.
      SHUTDOWN_LINGER_MS: '0',
    },
    { keepalive: '5s' },
  );
  const crowdWhile = await crowdsOf(deployable.stack);
  const losesNothing = async (wanted: { during: number; total: number }, ...pieces: Command[][]) => {
    const done: string[] = [];
    const toll = await crowdWhile(wanted.total, async sent => {
      for (const commands of pieces) {
        const [started, before] = [performance.now(), sent()];
        for (const [script, ...args] of commands) {
          const { code, stderr } = await deployable.run(script, args);
          assert.is(code, 0, stderr);
        }
        const [seconds, during] = [(performance.now() - started) / 1000, sent() - before];
        const piece = commands.map(command => command.join(' ')).join(', ');
        done.push(`${piece}: ${seconds.toFixed(0)} s, ${count(during)} requests`);
        assert.ok(during >= wanted.during, done.at(-1));
      }
    });
    const { requests, failures, examples, slowest, orders, uploads, events, reconnects, refused } = toll;
    const { ordersLost, ordersDoubled, lost, secondTries } = toll;
    console.log(
      `» ${done.join('; ')}; slowest ${slowest.toFixed(1)} s; ${count(requests)} requests, ` +
        `${JSON.stringify(failures)} failed, ${secondTries} tried twice; ` +
        `${count(orders)} orders, ${ordersLost} lost, ${ordersDoubled} doubled; ${uploads} uploads; ` +
        `${events} events to 200 clients, ${lost} lost, ${reconnects} reconnections, attempts that failed: ${JSON.stringify(refused)}`,
    );
    assert.equal({ failures, examples }, { failures: {}, examples: [] });
    assert.equal({ ordersLost, ordersDoubled, lost }, { ordersLost: 0, ordersDoubled: 0, lost: 0 });
    assert.equal(refused, {}, 'sockets that were opened again found nobody');
    assert.is(secondTries, 0, 'Nginx sent requests to an instance that was leaving');
    assert.ok(Math.min(orders, uploads, events) > 0);
    // Of an instance that is replaced, the clients go to another; those that come and go again may have had none.
    if (pieces.flat().some(([script]) => script !== 'scale')) assert.ok(reconnects > 0);
  };
  return { ...deployable, losesNothing };
}
