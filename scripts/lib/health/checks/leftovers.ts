import type { Config } from '../../config/config.ts';
import { duration, plural } from '../../core/format.ts';
import { type Leftover, leftDirectories, leftInServer } from '../../restore/leftovers.ts';
import type { Check } from '../check.ts';
import { COMMAND_SECONDS } from '../docker.ts';

const DAY = 24 * 3600;

/** Directories, databases, schemas and roles of runs that were killed, or have hung for more than a day. */
export const leftovers = (config: Config): Check => ({
  name: 'leftovers',
  run: async () => {
    const directories = await leftDirectories(config);
    // A server that does not answer has a line of its own.
    const inServer = await leftInServer(config, COMMAND_SECONDS).catch(() => undefined);
    const ageOf = ({ since }: Leftover) => (Date.now() - since.getTime()) / 1000;
    const old = [...directories, ...(inServer ?? [])].filter(each => ageOf(each) > DAY);
    if (old.length === 0) {
      const looked = inServer ? '' : '; PostgreSQL was not asked';
      return {
        status: 'ok',
        message: `no run has left a directory, database, schema or role for more than a day${looked}`,
      };
    }
    const list = old.map(each => `${each.kind} ${each.name} (${duration(ageOf(each))})`).join(', ');
    return {
      status: 'warning',
      message: `${plural(old.length, 'leftover')} of runs that did not finish: ${list}`,
      hint: 'the next backup removes them and says what it can’t remove: run ./scripts/backup.ts.',
    };
  },
});
