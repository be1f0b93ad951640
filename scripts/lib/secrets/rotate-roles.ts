/** Passwords of PostgreSQL's roles. */
import type { Config } from '../config/config.ts';
import { setValues } from '../config/env-file.ts';
import { initialPasswords } from '../config/initial-passwords.ts';
import { databaseUser, secondLoginOf } from '../config/store-urls.ts';
import { OperationalError } from '../core/errors.ts';
import { newSecret } from '../core/redact.ts';
import { dropSecondLogin, makeSecondLogin, setPassword, takesPassword } from '../postgres/second-login.ts';
import { serverFacts } from '../postgres/server.ts';
import { loginOf, type Procedure, recreateBackupService, roll, withLogin } from './rotation-step.ts';

/**
 * The application's: instances change to a second login, the role gets its new password while nobody uses it, and they change back.
 * At each moment the file and the instances have a login that the server takes.
 */
export const applicationRole: Procedure = {
  note: 'the backends are replaced twice, one after the other: with a second login, then with the new password',
  backends: true,
  preflight: async config => {
    await refuseNoSuperuser(config);
    const { app } = config.roles;
    const { user, password } = loginOf(config.urls.database);
    if (user === app.name && password === app.password) return;
    throw new OperationalError(
      `DATABASE_URL is not the login of ${app.name}, whose password this would replace`,
      'make the backends use that role first: ./scripts/config.ts --write, then deploy.',
    );
  },
  steps: [
    { name: 'second login', run: useSecondLogin },
    roll('backends with the second login'),
    { name: 'new password', run: replacePassword },
    roll('backends with the new password'),
    {
      name: 'end of the second login',
      run: ({ postgres, roles }) => dropSecondLogin(postgres, postgres.database, roles.app.name),
    },
  ],
};

async function useSecondLogin({ postgres, roles, urls, envFile }: Config): Promise<void> {
  const login = secondLoginOf(roles.app.name);
  const url = urls.database!;
  const { user, password: written } = loginOf(url);
  if (user === login && (await takesPassword(postgres, postgres.database, login, written))) return;
  const password = newSecret();
  await makeSecondLogin(postgres, postgres.database, roles.app.name, password);
  await setValues(envFile, { DATABASE_URL: withLogin(url, login, password) });
}

async function replacePassword(config: Config): Promise<void> {
  const { postgres, roles, urls, envFile } = config;
  const { name } = roles.app;
  if (loginOf(urls.database).user !== secondLoginOf(name)) return; // the file has the new one already
  const password = newSecret();
  await setPassword(postgres, postgres.database, name, password);
  await setValues(envFile, {
    ...initialPasswords(config, ['APP_DB_PASSWORD']),
    APP_DB_PASSWORD: password,
    DATABASE_URL: withLogin(urls.database!, name, password),
  });
}

/** That of backups, which only runs that hold the lock of this environment use. */
export const backupRole: Procedure = {
  note: 'no backend is replaced; a running backup service is recreated',
  backends: false,
  preflight: refuseNoSuperuser,
  steps: [
    {
      name: 'new password',
      run: config => replaceRolePassword(config, 'BACKUP_DB_PASSWORD', config.roles.backup.name),
    },
    recreateBackupService,
  ],
};

/** That of POSTGRES_USER. Scripts reach it within the container, where no password is asked for. */
export const superuser: Procedure = {
  note: 'no backend is replaced; a running backup service is recreated',
  backends: false,
  preflight: async config => {
    const { postgres } = config;
    if (!postgres.container)
      throw new OperationalError(
        'POSTGRES_CONTAINER is empty, so a killed run could not reach the server again',
        'change the password where the server is managed, and set POSTGRES_PASSWORD in the env file.',
      );
    await refuseNoSuperuser(config);
    if (databaseUser(config).passwordName !== 'POSTGRES_PASSWORD') return;
    throw new OperationalError(
      `the application connects as ${postgres.user}, which has one password`,
      'give it a role of its own first: ./scripts/database-roles.ts',
    );
  },
  steps: [
    {
      name: 'new password',
      run: config => replaceRolePassword(config, 'POSTGRES_PASSWORD', config.postgres.user),
    },
    recreateBackupService,
  ],
};

async function replaceRolePassword(config: Config, name: string, role: string): Promise<void> {
  const { postgres, envFile } = config;
  const password = newSecret();
  await setPassword(postgres, postgres.database, role, password);
  await setValues(envFile, { ...initialPasswords(config, [name]), [name]: password });
}

async function refuseNoSuperuser({ postgres }: Config): Promise<void> {
  if ((await serverFacts(postgres)).superuser) return;
  throw new OperationalError(
    `${postgres.user} is no superuser, so it can't replace passwords of roles`,
    'replace them where the server is managed, and set the new ones in the env file.',
  );
}
