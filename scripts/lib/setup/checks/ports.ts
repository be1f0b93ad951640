/** Who holds the ports that Nginx is published on. */
import type { Config } from '../../config/config.ts';
import { hasProgram, sh } from '../../core/shell.ts';
import { containerOf } from '../../docker/containers.ts';
import { docker } from '../../health/docker.ts';
import type { SetupCheck } from './check.ts';

/** @returns a line for each port */
export function portChecks(config: Config, ports: string[]): Promise<SetupCheck[]> {
  return Promise.all(
    ports.map(async port => {
      const [programs, containers] = await Promise.all([listeners(port), publishers(config, port)]);
      return judgePort(port, programs, containers, containerOf(config, 'nginx'));
    }),
  );
}

/**
 * @param programs that listen on it; undefined: there is no `ss` to ask
 * @param containers that publish it
 * @param own the name of this environment's Nginx
 */
export function judgePort(
  port: string,
  programs: string[] | undefined,
  containers: string[],
  own: string,
): SetupCheck {
  const line = (status: SetupCheck['status'], message: string, hint?: string): SetupCheck => ({
    name: 'ports',
    status,
    message: `port ${port} ${message}`,
    ...(hint && { hint }),
  });
  const foreign = containers.filter(name => name !== own);
  const hint = 'stop it, or set HTTP_PORT and HTTPS_PORT to ports that are free.';
  if (foreign.length > 0) return line('warning', `is held by the container ${foreign.join(', ')}`, hint);
  if (containers.length > 0) return line('ok', `is held by ${own}`);
  if (!programs)
    return line('unknown', 'could not be looked at', 'install the package iproute2, which has ss.');
  if (programs.length > 0) return line('warning', `is held by ${programs.join(', ')}`, hint);
  return line('ok', 'is free');
}

/** Root sees all programs; others only their own, and of the rest that there is one. */
async function listeners(port: string): Promise<string[] | undefined> {
  if (!hasProgram('ss')) return undefined;
  const lines = await sh('look at the port')`ss -Hltnp ${`sport = :${port}`}`;
  const names = lines
    .split('\n')
    .filter(Boolean)
    .flatMap(line => {
      // A program that has just been forked has the socket, too.
      const found = [...line.matchAll(/\("([^"]*)",pid=(\d+)/g)];
      return found.length > 0
        ? found.map(([, name, pid]) => `${name} (process ${pid})`)
        : ['a program of another user'];
    });
  return [...new Set(names)];
}

/** Docker can publish a port without a program that listens. */
async function publishers(config: Config, port: string): Promise<string[]> {
  const list = ['ps', '--filter', `publish=${port}`, '--format', '{{.Names}}'];
  const names = await docker(config, list).catch(() => ''); // it has a line of its own
  return names.split('\n').filter(Boolean);
}
