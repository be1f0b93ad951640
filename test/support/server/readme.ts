/** The steps that the README has for a bare server, and what a machine of the tests needs for them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/config/config.ts';
import { run } from '../../engine/process.ts';
import { type Machine, PROXY, REPOSITORY } from './machine.ts';

/** @returns the blocks of the numbered steps, in their order */
export function readmeSteps(): string[] {
  const page = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const section = page.slice(page.indexOf('## On a server'), page.indexOf('## Update'));
  return [...section.matchAll(/^ {3}```bash\n((?: {3}.*\n)+?) {3}```$/gm)].map(([, block]) =>
    block!.replaceAll(/^ {3}/gm, ''),
  );
}

/**
 * Brings the repository as of the last commit, and the way to npm's registry.
 * @returns what runs a block on the machine, as an operator who pastes it
 */
export async function bringRepository(machine: Machine): Promise<(block: string) => Promise<string>> {
  await machine.feed(['git', '-C', ROOT, 'bundle', 'create', '-', 'HEAD'], 'cat >/srv/repository');
  await machine.feed(['cat', '/etc/ssl/certs/ca-certificates.crt'], 'cat >/srv/ca.pem');
  const env = {
    npm_config_registry: await run('npm', ['config', 'get', 'registry']),
    npm_config_proxy: PROXY,
    npm_config_https_proxy: PROXY,
    npm_config_cafile: '/srv/ca.pem',
    REPOSITORY: '/srv/repository',
    EDITOR: 'true',
  };
  return block => machine.run(`set -e\ncd ${REPOSITORY} 2>/dev/null || cd\n${block}`, env);
}
