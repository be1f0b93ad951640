/** A signal that arrives during long work of a step that is otherwise not interrupted. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interrupted } from '../../scripts/lib/core/errors.ts';
import { sh } from '../../scripts/lib/core/shell.ts';
import {
  acknowledgeSignal,
  deferSignals,
  interrupt,
  listenForSignals,
  obeySignals,
  sleep,
  throwIfSignalled,
} from '../../scripts/lib/core/signals.ts';

listenForSignals();
const signal = () => process.emit('SIGINT');
const isInterrupted = (error: unknown) => error instanceof Interrupted && error.exitCode === 130;

test('it ends the work at once; what follows runs when the signal is acknowledged', async () => {
  await deferSignals(async () => {
    const works: (() => Promise<unknown>)[] = [() => sleep(600), () => sh('wait')`sleep 600`];
    for (const work of works) {
      const ended = obeySignals(work).catch(error => error);
      setImmediate(signal);
      assert.ok(isInterrupted(await ended));
      assert.ok(interrupt.aborted);
      acknowledgeSignal();
      assert.not(interrupt.aborted);
      assert.is(await sh('go on')`echo on`, 'on');
      await sleep(0);
    }
  });
  assert.is(await sh('go on afterwards')`echo on`, 'on');
});

test('afterwards signals are deferred again, and work does not begin after one', async () => {
  await deferSignals(async () => {
    assert.is(await obeySignals(async () => 1), 1);
    signal();
    assert.not(interrupt.aborted);
    assert.is(await sh('go on')`echo on`, 'on');
    assert.throws(throwIfSignalled, isInterrupted);
    assert.ok(isInterrupted(await obeySignals(async () => 2).catch(error => error)));
    acknowledgeSignal();
  });
  assert.not(interrupt.aborted);
});

test.run();
