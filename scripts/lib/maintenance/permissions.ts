/** Modes and owners, as setup-server.ts gives them. */
import { statSync } from 'node:fs';
import { type Config, ROOT } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { plural } from '../core/format.ts';
import { accountOf, allAccounts } from '../server/accounts.ts';
import { DEPLOY_USER } from '../server/deploy-user.ts';
import { permissionDifferences } from '../server/directories.ts';
import type { Task } from './tasks.ts';

/** A difference is a failure: a secret may be readable, or the next run may not be able to write. */
export const permissions = (config: Config): Task => ({
  name: 'permissions',
  async look() {
    const { uid, gid } = statSync(ROOT);
    const account = (await accountOf(DEPLOY_USER)) ?? { name: await nameOf(uid), uid, gid };
    const differences = await permissionDifferences(config, account);
    if (differences.length > 0)
      throw new OperationalError(
        `${plural(differences.length, 'difference')} of modes and owners: ${differences.join('; ')}`,
        '`./scripts/setup-server.ts --check` shows all as root, and `./scripts/setup-server.ts --only directories` corrects them.',
      );
    return { found: `the directories and env files belong to ${account.name}, and others can’t read them` };
  },
});

const nameOf = async (uid: number): Promise<string> =>
  (await allAccounts()).find(account => account.uid === uid)?.name ?? `uid ${uid}`;
