/** The two env files: `.env.<environment>` for Compose and the scripts, `.env.<environment>.app` for the application. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { word } from '../core/command-line.ts';
import { messageOf, OperationalError, usageError } from '../core/errors.ts';
import { percentEncoded, plural } from '../core/format.ts';
import { log } from '../core/log.ts';
import { type Config, ROOT } from './config.ts';
import { readEnvFile } from './env-file.ts';
import { applicationNames, misnamedOf } from './known-names.ts';
import { product } from './stack-variables.ts';
import { type UrlState, urlStates } from './store-urls.ts';
import { isKnown, SECRET } from './variables.ts';

/** What Compose sets for each backend over the application's file; with a value, that one may stand there as well. */
export const SET_BY_COMPOSE: Record<string, string | undefined> = {
  DATABASE_URL: undefined,
  INSTANCE_ID: undefined,
  NODE_ENV: 'production',
  PORT: undefined, // BACKEND_PORT
  REDIS_URL: undefined,
};

/** Secrets of `.env.<environment>` that the application gets from Compose. */
const SHARED = /^(APP_DB_PASSWORD|DATABASE_URL|REDIS_PASSWORD|REDIS_URL)$/;
/** Characters of the shortest secret that is looked for in the application's file. */
const SHORTEST = 8;

/** A fault or a risk, in the two lines of a message, with names of variables and no values. */
export interface Remark {
  /** Backends would start without what they need. */
  refused: boolean;
  message: string;
  hint: string;
}

/** @returns what is wrong or risky in the two env files */
export function envFileRemarks(config: Config): Remark[] {
  const { envFile, appFile } = config;
  return [
    ...misnamedOf(Object.keys(readEnvFile(envFile).values)).map(wrong => ({
      refused: true,
      message: `${basename(envFile)}: ${wrong}`,
      hint: `correct the name in ${envFile}; where it is the application’s, move the line to ${appFile}.`,
    })),
    ...startRemarks(config),
  ];
}

/** @returns what is wrong or risky for those who start backends, misspelt names apart */
export function startRemarks(config: Config): Remark[] {
  const { envFile, appFile } = config;
  const { values } = readEnvFile(envFile);
  const stray = strayRemark(config);
  const app = basename(appFile);
  const remarks: Remark[] = stray ? [stray] : [];
  const refuse = (message: string, hint: string) => remarks.push({ refused: true, message, hint });
  if (stray === undefined && !existsSync(appFile))
    refuse(
      `there is no ${app}, the variables of the application`,
      `fill in a copy: cp ${word(join(ROOT, '.env.app.example'))} ${word(appFile)} && chmod 600 ${word(appFile)}`,
    );
  if (config.app !== product.APP_NAME.default && !(values.DOMAIN || process.env.DOMAIN))
    refuse(
      `DOMAIN is not set: Nginx would serve ${config.site.frontend}, which is not a name of ${config.app}`,
      `set it in ${envFile}.`,
    );
  for (const state of urlStates(config)) {
    const wrong = urlFault(state);
    if (wrong) refuse(...wrong);
  }
  return [...remarks, ...applicationRemarks(config, values)];
}

/** @returns that the env file has variables of the application; undefined: it has none */
export function strayRemark({ envFile, appFile }: Config): Remark | undefined {
  const stray = applicationNames(Object.keys(readEnvFile(envFile).values));
  if (stray.length === 0) return undefined;
  const names = `${plural(stray.length, 'variable')} of the application`;
  return {
    refused: true,
    message: `${basename(envFile)} has ${names}, which gets only those of ${basename(appFile)}: ${stray.join(', ')}`,
    hint: `move them: ./scripts/config.ts --split`,
  };
}

function urlFault({ name, is, lacks, right }: UrlState): [message: string, hint: string] | undefined {
  if (is !== 'missing' && is !== 'wrong') return undefined;
  if (lacks.length > 0)
    return [`${name} can’t be made: ${lacks.join(', ')} is empty`, 'set it in the env file.'];
  if (!right)
    return [
      `${name} is not set, and the server is not the stack’s`,
      'set it in the env file, percent-encoded.',
    ];
  const what = is === 'missing' ? 'is not set' : 'does not say what the variables say that it is made of';
  return [`${name} ${what}`, 'write it: ./scripts/config.ts --write'];
}

function applicationRemarks({ appFile, contract }: Config, scripts: Record<string, string>): Remark[] {
  const file = basename(appFile);
  const set: typeof SET_BY_COMPOSE = { ...SET_BY_COMPOSE, PORT: `${contract.ports.backend}` };
  try {
    const { values, problems } = readEnvFile(appFile);
    const refused = [
      ...problems,
      ...Object.entries(values)
        .filter(([name, value]) => Object.hasOwn(set, name) && value !== set[name])
        .map(([name]) => `${name}: Compose sets it to ${set[name] ?? 'a value of its own'}; remove it`),
    ].map(message => ({ refused: true, message: `${file}: ${message}`, hint: `correct it in ${appFile}.` }));
    const shared = sharedSecrets(values, scripts);
    if (shared.length === 0) return refused;
    const message = `${file} has secrets of the scripts: ${shared.join(', ')}`;
    const hint = 'give the application keys of its own: whoever takes it over can delete backups with these.';
    return [...refused, { refused: false, message, hint }];
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return [{ refused: true, message: messageOf(error), hint: error.hint }];
  }
}

/** @returns the names of the application's variables whose value is, or contains, a secret of the scripts' file */
function sharedSecrets(values: Record<string, string>, scripts: Record<string, string>): string[] {
  const secrets = Object.entries(scripts).filter(
    ([name, value]) => SECRET.test(name) && isKnown(name) && !SHARED.test(name) && value.length >= SHORTEST,
  );
  return Object.entries(values).flatMap(([name, value]) => {
    const found = secrets.find(
      ([, secret]) => value.includes(secret) || value.includes(percentEncoded(secret)),
    );
    return found ? [found[0] === name ? name : `${name} (${found[0]})`] : [];
  });
}

/**
 * For scripts that start backends. What is risky is a warning.
 * @throws a usage error that lists all that would start them without what they need
 */
export async function refuseWrongEnvFiles(config: Config): Promise<void> {
  const remarks = envFileRemarks(config);
  for (const { refused, message, hint } of remarks) if (!refused) log.warn(`${message}\n  → ${hint}`);
  const refused = Map.groupBy(
    remarks.filter(each => each.refused),
    ({ hint }) => hint,
  );
  const problems = [...refused].map(([hint, all]) => ({
    message: all.map(({ message }) => message).join('; '),
    hint,
  }));
  if (problems.length === 1) throw usageError(problems[0]!.message, problems[0]!.hint);
  if (problems.length > 1)
    throw usageError(
      `${problems.length} things are wrong in the env files:${problems.map(({ message, hint }) => `\n  ${message}\n    → ${hint}`).join('')}`,
      'correct them and run it again.',
    );
}
