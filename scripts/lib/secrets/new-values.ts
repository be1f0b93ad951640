/** New values for secrets that are empty. What is set is never replaced here. */
import { newSecret } from '../core/redact.ts';
import { isOfApplication } from './kinds.ts';

/**
 * @param values of `.env.<environment>`
 * @returns a new password for each that is empty. The stack makes the roles with a new database only, so that those of a
 *   database that is there are left to database-roles.ts
 */
export function newPasswords(values: Record<string, string>): Record<string, string> {
  const isManaged = values.POSTGRES_CONTAINER === '';
  const isNewDatabase = !isManaged && !values.POSTGRES_PASSWORD;
  return {
    ...(isNewDatabase && { POSTGRES_PASSWORD: newSecret() }),
    ...(isNewDatabase && !values.APP_DB_PASSWORD && { APP_DB_PASSWORD: newSecret() }),
    ...(isNewDatabase && !values.BACKUP_DB_PASSWORD && { BACKUP_DB_PASSWORD: newSecret() }),
    ...(!values.REDIS_PASSWORD && { REDIS_PASSWORD: newSecret() }),
  };
}

/**
 * @param values of `.env.<environment>.app`
 * @returns a new secret for each line that is there and empty: an application without sessions needs none of them
 */
export function newApplicationSecrets(values: Record<string, string>): Record<string, string> {
  const names = Object.keys(values).filter(name => isOfApplication(name) && values[name] === '');
  return Object.fromEntries(names.map(name => [name, newSecret()]));
}
