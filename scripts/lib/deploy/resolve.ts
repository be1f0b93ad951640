import type { Result } from '../cli/command.ts';
import { confirm } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { pull } from '../docker/images.ts';
import { findRemote } from '../docker/registry.ts';
import { requireFailed, resolveFailed } from '../migrations/failed.ts';

/**
 * Records a failed migration as rolled back, in a container of the release. A killed deployment may have left it, so the
 * journal stays.
 *
 * @param backend the image that has the migration
 * @returns what the script prints
 * @throws OperationalError; exit code 2 when no migration of this name has failed, or it is not confirmed
 */
export async function resolveMigration(
  config: Config,
  backend: string,
  name: string,
  yes: boolean | undefined,
): Promise<Result> {
  const [{ pinned }] = await preflight(
    () => findRemote(backend),
    () => requireFailed(config, name),
  );
  await pull(pinned);
  await confirm(`This records migration ${name} as rolled back.`, config.environment, yes);
  log.changesBegin();
  await resolveFailed(config, pinned, name);
  return { text: `${name} is recorded as rolled back: deploy again`, json: { resolved: name } };
}
