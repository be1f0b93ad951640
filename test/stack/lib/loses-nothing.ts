/** Work on a stack that costs none of its visitors a request. */
import * as assert from 'uvu/assert';
import { count } from '../../../scripts/lib/core/format.ts';
import { crowdsOf } from './crowd.ts';
import { assertDrained } from './deploy-state.ts';
import { type Deployable, startDeployable } from './deployable.ts';
import { explained } from './visitor.ts';

type Command = [script: string, ...args: string[]];

/** A stack for visitors that keep their connections, and a way to run scripts while they are there. */
export async function startVisited(): Promise<
  Deployable & {
    /**
     * Does pieces of work one after the other, each of scripts that end where they began.
     *
     * @param during how many requests end during each piece at least: on a machine that is slow it is done again
     * @throws if a visitor has lost something
     */
    losesNothing: (during: number, ...pieces: Command[][]) => Promise<void>;
  }
> {
  const deployable = await startDeployable(
    {
      // Instances start on processors that the visitors keep busy.
      DEPLOY_READY_TIMEOUT: '300s',
      DEPLOY_BAKE_SECONDS: '0',
      // What visitors wait for on a machine that is short of processors is not lost.
      DATABASE_TIMEOUT_MS: '60000',
      // The application stops accepting at once, so that nothing but the scripts' drain can save a request.
      SHUTDOWN_LINGER_MS: '0',
    },
    { keepalive: '5s' },
  );
  const crowdWhile = await crowdsOf(deployable);
  const losesNothing = async (wanted: number, ...pieces: Command[][]) => {
    const done: string[] = [];
    const toll = await crowdWhile(0, async sent => {
      for (const commands of pieces) {
        for (let during = 0; during < wanted; ) {
          for (const [script, ...args] of commands) {
            const [started, before] = [performance.now(), sent()];
            const ended = await deployable.run(script, args);
            assert.is(ended.code, 0, ended.stderr);
            if (script !== 'scale' || ended.stdout.includes('−')) assertDrained(deployable, ended);
            const [seconds, answered] = [(performance.now() - started) / 1000, sent() - before];
            assert.ok(answered > 0, `nobody was there during ${script}`);
            during += answered;
            done.push(`${[script, ...args].join(' ')}: ${seconds.toFixed(0)} s, ${count(answered)} requests`);
          }
        }
      }
    });
    const { requests, failures, examples, heldUp, slowest, orders, uploads, events, reconnects, refused } =
      toll;
    const { ordersLost, ordersDoubled, lost, secondTries } = toll;
    console.log(
      `» ${done.join('; ')}; slowest ${slowest.toFixed(1)} s; ${count(requests)} requests, ` +
        `${JSON.stringify(failures)} failed, ${heldUp} held up by the machine, ${secondTries} tried twice; ` +
        `${count(orders)} orders, ${ordersLost} lost, ${ordersDoubled} doubled; ${uploads} uploads; ` +
        `${events} events to 200 clients, ${lost} lost, ${reconnects} reconnections, attempts that failed: ${JSON.stringify(refused)}, held up by the machine: ${JSON.stringify(toll.heldUpSockets)}`,
    );
    const why = examples.length > 0 ? await explained(deployable.stack, examples) : '';
    assert.equal({ failures, examples }, { failures: {}, examples: [] }, why);
    assert.equal({ ordersLost, ordersDoubled, lost }, { ordersLost: 0, ordersDoubled: 0, lost: 0 });
    assert.equal(refused, {}, 'sockets that were opened again found nobody');
    assert.is(secondTries, 0, 'Nginx sent requests to an instance that was leaving');
    assert.ok(Math.min(orders, uploads, events) > 0);
    // Of an instance that is replaced, the clients go to another; those that come and go again may have had none.
    if (pieces.flat().some(([script]) => script !== 'scale')) assert.ok(reconnects > 0);
  };
  return { ...deployable, losesNothing };
}
