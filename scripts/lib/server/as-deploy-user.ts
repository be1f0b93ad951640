import { run } from '../core/shell.ts';
import { DEPLOY_USER } from './deploy-user.ts';

/**
 * Runs a line of sh as the user of deployments, with an environment like that of a login.
 *
 * @param args what the line has as $1, $2, …
 * @param options seconds, 60 by default, and what to do if it fails and its cause is not known
 * @returns its stdout
 * @throws CommandError where it fails
 */
export function asDeployUser(
  purpose: string,
  line: string,
  args: string[],
  options: { timeout?: number; hint?: string } = {},
): Promise<string> {
  const { timeout = 60, hint } = options;
  const shell = ['sh', '-c', `umask 022; ${line}`, 'sh', ...args];
  return run(['runuser', '--user', DEPLOY_USER, '--', 'env', '--chdir=/', ...NO_ROOT, ...shell], {
    purpose,
    timeout,
    ...(hint ? { hint } : {}),
  });
}

/** What root's environment has and another user must not use. */
const NO_ROOT = ['-u', 'XDG_RUNTIME_DIR', '-u', 'XDG_CONFIG_HOME', '-u', 'XDG_CACHE_HOME'].concat([
  `HOME=/home/${DEPLOY_USER}`,
  `USER=${DEPLOY_USER}`,
  `LOGNAME=${DEPLOY_USER}`,
]);
