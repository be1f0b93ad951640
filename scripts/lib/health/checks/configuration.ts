import { existsSync } from 'node:fs';
import { envFileRemarks } from '../../config/application.ts';
import type { Config } from '../../config/config.ts';
import { hookRemarks } from '../../hooks/hooks.ts';
import { type Check, NotConfigured } from '../check.ts';

/** Whether a deployment would accept the two env files, the application has keys of its own, and each hook can be run. */
export const configuration = (config: Config): Check => ({
  name: 'configuration',
  run: async () => {
    if (!existsSync(config.envFile)) throw new NotConfigured(`there is no ${config.envFile}`);
    const remarks = [...envFileRemarks(config), ...hookRemarks(config)];
    if (remarks.length === 0)
      return {
        status: 'ok',
        message: 'the URLs agree with their parts, and the application has a file of its own',
      };
    return {
      status: 'warning',
      message: remarks.map(({ message }) => message).join('; '),
      hint: remarks[0]!.hint,
    };
  },
});
