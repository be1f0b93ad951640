/** Passwords of Redis' user default, of which it takes several at once: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/ */
import { hash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { OperationalError } from '../core/errors.ts';
import { run } from '../core/shell.ts';
import { containerOf } from '../docker/containers.ts';

/** Where the Compose file has Redis keep its users: on a volume, so that they last over a restart. */
const USERS = '/data/users.acl';

/** @returns the answer to one command. The arguments are seen by others: of a password there is only its hash in them */
async function ask(config: Config, ...words: string[]): Promise<string> {
  const program = ['redis-cli', '-h', '127.0.0.1', ...words];
  const argv = ['docker', 'exec', '-e', 'REDISCLI_AUTH', containerOf(config, 'redis'), ...program];
  const env = { REDISCLI_AUTH: config.redisPassword };
  return (await run(argv, { purpose: `ask Redis for ${words[0]} ${words[1]}`, env, timeout: 20 })).trim();
}

async function change(config: Config, ...rules: string[]): Promise<void> {
  for (const words of [['SETUSER', 'default', ...rules], ['SAVE']]) {
    const reply = await ask(config, 'ACL', ...words);
    if (reply !== 'OK')
      throw new OperationalError(
        `Redis refused ACL ${words[0]}: ${reply}`,
        'see what it says: docker logs of its container.',
      );
  }
}

const ruleOf = (password: string) => `#${hash('sha256', password)}`;

/**
 * @throws OperationalError where Redis does not take the password of the file, or would forget a new one at its next start
 */
export async function refuseForgetful(config: Config): Promise<void> {
  const reply = await ask(config, 'CONFIG', 'GET', 'aclfile');
  if (reply.split('\n').at(-1)?.trim() === USERS) return;
  if (/NOAUTH|WRONGPASS/.test(reply))
    throw new OperationalError(
      'REDIS_PASSWORD is not the password of Redis',
      'a container keeps the password with which it was created: recreate it.',
    );
  throw new OperationalError(
    'Redis would forget a new password at its next start: its container is of an older Compose file',
    'recreate it first: `docker compose up -d redis`',
  );
}

/** Has Redis take this password, too. Sessions stay. @throws OperationalError */
export const addPassword = (config: Config, password: string): Promise<void> =>
  change(config, ruleOf(password));

/** Has Redis take the password of the file and no other, in one step. Sessions stay. @throws OperationalError */
export const keepOnlyPassword = (config: Config): Promise<void> =>
  change(config, 'resetpass', ruleOf(config.redisPassword ?? ''));
