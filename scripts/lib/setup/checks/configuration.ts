/** What scripts and Compose would make of the files that were written. */
import { startRemarks } from '../../config/application.ts';
import type { Config } from '../../config/config.ts';
import { readEnvFile } from '../../config/env-file.ts';
import { NAMES } from '../../config/variables.ts';
import type { SetupCheck } from './check.ts';

/** @returns what `config.ts` remarks on the files, and variables of this shell that have other values; one line if nothing */
export function configurationChecks(config: Config): SetupCheck[] {
  const { values } = readEnvFile(config.envFile);
  const others = NAMES.filter(name => process.env[name] && process.env[name] !== (values[name] ?? ''));
  const found: SetupCheck[] = [
    ...startRemarks(config).map(({ message, hint }) => warning(message, hint)),
    ...(others.length > 0
      ? [
          warning(
            `variables of this shell have other values than the file, and override it: ${others.join(', ')}`,
            `unset them: unset ${others.join(' ')}`,
          ),
        ]
      : []),
  ];
  const ok = 'both env files are complete, and nothing in them is wrong';
  return found.length > 0 ? found : [{ name: 'configuration', status: 'ok', message: ok }];
}

const warning = (message: string, hint: string): SetupCheck => ({
  name: 'configuration',
  status: 'warning',
  message,
  hint,
});
