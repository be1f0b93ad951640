/** What init.ts makes of a new directory, and what Compose makes of that. */
import { copyScripts } from '../config/copy.ts';
import { startProgram } from '../core/world.ts';

export interface Made {
  /** Of the script's JSON. */
  checks: { name: string; status: string; message: string }[];
  missing: string[];
  next: string;
  /** As `docker compose config` resolves them. */
  services: Record<string, { environment?: Record<string, string>; image?: string }>;
}

/** @param env with which `docker` reaches an engine, or has at least Compose */
export async function madeBy(
  env: Record<string, string>,
  environment: string,
  flags: string[],
): Promise<Made> {
  const file = `docker-compose.${environment}.yml`;
  const copy = copyScripts(file);
  try {
    const init = await copy.run(
      'init',
      ['--env', environment, '--yes', '--json', '--resolver', '127.0.0.1:9', ...flags],
      env,
    );
    if (init.code !== 0) throw new Error(init.stderr);
    const args = ['compose', '-f', file, '--env-file', `.env.${environment}`, 'config', '--format', 'json'];
    const { code, stdout, stderr } = await startProgram('docker', args, env, { cwd: copy.directory }).ended;
    if (code !== 0) throw new Error(stderr);
    return { ...JSON.parse(init.stdout), services: JSON.parse(stdout).services };
  } finally {
    copy.remove();
  }
}
