import type { Config } from '../config/config.ts';
import { preflight } from '../core/preflight.ts';
import { imageHas, remoteSettingsOf, settingsOf } from '../docker/image-settings.ts';
import { backendRemarks, frontendRemarks } from '../health/application-contract.ts';

/**
 * @param backend an image of this machine
 * @param frontend an image of one platform in the registry, by its digest
 * @returns what of the application contract the images do not keep, as far as they tell without being started
 * @throws OperationalError when Docker or the registry can't tell
 */
export async function unkept(config: Config, backend: string, frontend: string): Promise<string[]> {
  const [settings, remote, hasNode] = await preflight(
    () => settingsOf(backend),
    () => remoteSettingsOf(frontend),
    () => imageHas(backend, 'node'),
  );
  const remarks = [...backendRemarks(config, settings), ...frontendRemarks(config, remote)];
  const node = hasNode ? [] : ['the backend has no program node, which its health check runs'];
  return [...remarks.map(([, text]) => text), ...node];
}
