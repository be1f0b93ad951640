/** The secrets that these scripts make and replace, and how long each is used. Others are issued elsewhere. */
import { type Config, type Environment, envFileOf } from '../config/config.ts';
import { readEnvFile, valuesIfReadable } from '../config/env-file.ts';
import { SECRET } from '../config/variables.ts';

/** What a secret opens, and so how it is replaced. */
export type Kind = 'superuser' | 'application role' | 'backup role' | 'redis' | 'application';

/** One secret of our own. */
export interface Secret {
  name: string;
  /** `.env.<environment>` or `.env.<environment>.app`. */
  file: 'env' | 'app';
  kind: Kind;
  /** Days after which it is due to be replaced. */
  days: number;
}

/** Days. A password opens a store; the application's secrets sign what visitors hold. */
const POLICY = { password: 90, application: 180 };

const PASSWORDS: Record<string, Kind> = {
  POSTGRES_PASSWORD: 'superuser',
  APP_DB_PASSWORD: 'application role',
  BACKUP_DB_PASSWORD: 'backup role',
  REDIS_PASSWORD: 'redis',
};

/** Secrets of an application that any value fits, and that nobody else has to know. Not such as STRIPE_WEBHOOK_SECRET. */
const OF_APPLICATION = /^(?:JWT|SESSION|COOKIE|CSRF)(?:_[A-Z]+)*_SECRET$/;

/** Made of other variables, or of no use any more. */
const NO_SECRETS = /^(DATABASE_URL|REDIS_URL|INITIAL_.*)$/;

/** @returns whether a variable of the application is a secret that any random value fits */
export const isOfApplication = (name: string): boolean => OF_APPLICATION.test(name);

/** @returns the variable with the value that an application accepts as well, and signs nothing with: see the contract */
export const previousOf = (name: string): string => `${name}_PREVIOUS`;

/**
 * @param app the names of the application's variables
 * @returns the secrets of our own, in the order of the files
 */
export function ownSecrets(app: string[]): Secret[] {
  return [
    ...Object.entries(PASSWORDS).map(
      ([name, kind]): Secret => ({ name, file: 'env', kind, days: POLICY.password }),
    ),
    ...app
      .filter(isOfApplication)
      .map((name): Secret => ({ name, file: 'app', kind: 'application', days: POLICY.application })),
  ];
}

/** The values of both env files. */
export interface Values {
  env: Record<string, string>;
  app: Record<string, string>;
}

/** @returns the values of an environment's files, without those of this shell. @throws a usage error where one can't be read */
export function valuesHere({ envFile, appFile }: Config): Values {
  return { env: readEnvFile(envFile).values, app: readEnvFile(appFile).values };
}

/** @returns the same of any environment, as far as its files can be read */
export function valuesThere(environment: Environment): Values {
  const envFile = envFileOf(environment);
  return { env: valuesIfReadable(envFile), app: valuesIfReadable(`${envFile}.app`) };
}

/** @returns the secrets of both files that have a value, by name, without those that are made of others */
export function secretValues({ env, app }: Values): Map<string, string> {
  const all = [...Object.entries(env), ...Object.entries(app)];
  return new Map(all.filter(([name, value]) => value && SECRET.test(name) && !NO_SECRETS.test(name)));
}
