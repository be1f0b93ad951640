/** The password of Redis, which takes the old and the new one while the backends are replaced. */
import type { Config } from '../config/config.ts';
import { setValues } from '../config/env-file.ts';
import { OperationalError } from '../core/errors.ts';
import { newSecret } from '../core/redact.ts';
import { addPassword, keepOnlyPassword, refuseForgetful } from './redis-passwords.ts';
import { loginOf, type Procedure, roll, withLogin } from './rotation-step.ts';

export const redis: Procedure = {
  note: 'the backends are replaced once, one after the other; meanwhile Redis takes both passwords',
  backends: true,
  preflight: async config => {
    if (loginOf(config.urls.redis).password !== config.redisPassword)
      throw new OperationalError(
        'REDIS_URL does not have REDIS_PASSWORD, which this would replace',
        'correct it first: ./scripts/config.ts --write. The password of another server is replaced there.',
      );
    await refuseForgetful(config);
  },
  steps: [
    { name: 'second password', run: addSecond },
    roll('backends with the new password'),
    { name: 'end of the old password', run: keepOnlyPassword },
  ],
};

async function addSecond(config: Config): Promise<void> {
  const { envFile, urls } = config;
  const password = newSecret();
  await addPassword(config, password);
  const url = withLogin(urls.redis!, loginOf(urls.redis).user, password);
  await setValues(envFile, { REDIS_PASSWORD: password, REDIS_URL: url });
}
