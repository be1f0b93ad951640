/** The texts of both env files of a new installation. What is set in them is not changed. */
import { configOfText, type Environment } from '../config/config.ts';
import { newEnvFile } from '../config/env-example.ts';
import { quoted, refuseOtherValues, valuesOf, withVariables } from '../config/env-file.ts';
import { offsite } from '../config/s3-variables.ts';
import { urlStates } from '../config/store-urls.ts';
import { hideSecrets } from '../core/redact.ts';
import { newApplicationSecrets, newPasswords } from '../secrets/new-values.ts';

/** Texts; an empty one stands for a file that is not there. */
export interface Files {
  env: string;
  app: string;
}

export interface Plan extends Files {
  /** The variables that are set, by file. */
  written: { env: string[]; app: string[] };
}

/**
 * @param before the files as they are
 * @param answers the values of variables that an operator has chosen
 * @param example the text of `.env.app.example`
 * @returns the files as they should be: with the answers, a new secret for each that is empty, the URLs made of them, and the
 *   application's own secrets and origin
 * @throws a usage error where a file has bad values; OperationalError where a file can't take a value
 */
export function planFiles(
  environment: Environment,
  before: Files,
  answers: Record<string, string>,
  example: string,
): Plan {
  const there = valuesOf(before.env);
  const env: Record<string, string> = {
    ...startOf(environment, there, before.env === ''),
    ...ofStore(there, answers),
    ...answers,
  };
  let text = withValues(before.env, env, `.env.${environment}`);
  for (const { name, is, right } of urlStates(configOfText(environment, text))) {
    if (is !== 'missing' || right === undefined) continue;
    hideSecrets([right]);
    env[name] = right;
    text = withValues(text, { [name]: right }, `.env.${environment}`);
  }
  const appText = before.app || example;
  const app = startOfApp(valuesOf(appText), valuesOf(text).DOMAIN);
  return {
    env: text,
    app: withValues(appText, app, `.env.${environment}.app`),
    written: { env: Object.keys(env), app: Object.keys(app) },
  };
}

/** @returns what nobody has to be asked for */
function startOf(
  environment: Environment,
  values: Record<string, string>,
  isNew: boolean,
): Record<string, string> {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  return {
    ...(!values.DEPLOY_ENV && { DEPLOY_ENV: environment }),
    ...newPasswords(values),
    // Who makes the directories; root's scripts leave them to the user of the image.
    ...(isNew && uid && { BACKUP_USER: `${uid}:${gid}` }),
  };
}

/** Stores of others than Amazon may only know this class. A copy of .env.example has Amazon's. */
function ofStore(values: Record<string, string>, answers: Record<string, string>): Record<string, string> {
  const isOpen =
    !values.S3_BUCKET && [undefined, '', offsite.S3_STORAGE_CLASS.default].includes(values.S3_STORAGE_CLASS);
  return answers.S3_ENDPOINT && isOpen ? { S3_STORAGE_CLASS: 'STANDARD' } : {};
}

/** Only lines that the file has. */
function startOfApp(values: Record<string, string>, domain: string | undefined): Record<string, string> {
  return {
    ...newApplicationSecrets(values),
    ...(values.CORS_ORIGIN === '' && domain && { CORS_ORIGIN: `https://${domain}` }),
  };
}

/** @throws OperationalError as {@link withVariables} */
function withValues(before: string, values: Record<string, string>, file: string): string {
  if (before !== '') return withVariables(before, values, file);
  const lines = Object.entries(values).map(([name, value]) => [name, quoted(value)] as const);
  const text = newEnvFile(Object.fromEntries(lines));
  refuseOtherValues(text, values, file);
  return text;
}
