/** Secrets of the application, such as JWT_SECRET. */
import type { Config } from '../config/config.ts';
import { setValues } from '../config/env-file.ts';
import { OperationalError } from '../core/errors.ts';
import { newSecret } from '../core/redact.ts';
import { printOf } from './ages.ts';
import { previousOf, valuesHere } from './kinds.ts';
import type { Rotation } from './rotation-journal.ts';
import { type Procedure, roll } from './rotation-step.ts';

/** @param isAccepted whether the application accepts what `<name>_PREVIOUS` has: the file has a line of it, which may be empty */
export const application = (name: string, isAccepted: boolean): Procedure =>
  isAccepted ? withPrevious(name) : alone(name);

/**
 * First all instances accept the new value, then they sign with it: an instance that does not know it yet would refuse what another
 * one has signed. The old value stays accepted until the next rotation.
 */
const withPrevious = (name: string): Procedure => ({
  note: `the backends are replaced twice, one after the other; what the old value has signed stays valid, by ${previousOf(name)}`,
  backends: true,
  preflight: async () => {},
  steps: [
    {
      name: 'new value, accepted only',
      run: async ({ appFile }, rotation) => {
        const value = newSecret();
        await setValues(appFile, { [previousOf(name)]: value });
        rotation.print = printOf(name, value); // written before the next step begins
      },
    },
    roll('backends that accept the new value'),
    { name: 'new value in use', run: exchange },
    roll('backends that use the new value'),
  ],
});

async function exchange(config: Config, { name, print }: Rotation): Promise<void> {
  const { [name]: old = '', [previousOf(name)]: fresh = '' } = valuesHere(config).app;
  if (printOf(name, old) === print) return; // it is in use already
  if (printOf(name, fresh) !== print)
    throw new OperationalError(
      `${previousOf(name)} is not the new value any more: the file was changed meanwhile`,
      `put ${name} back, if it was changed, and remove the journal in state/; then rotate it once more.`,
    );
  await setValues(config.appFile, { [name]: fresh, [previousOf(name)]: old });
}

const alone = (name: string): Procedure => ({
  note:
    `the file has no ${previousOf(name)}, so the application knows one value only: what the old one has signed ends, such as ` +
    'log-ins, and while the backends are replaced one refuses what another has signed',
  backends: true,
  preflight: async () => {},
  steps: [
    {
      name: 'new value',
      run: ({ appFile }) => setValues(appFile, { [name]: newSecret() }),
    },
    roll('backends with the new value'),
  ],
});
