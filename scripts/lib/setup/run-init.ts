import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../cli/command.ts';
import { strayRemark } from '../config/application.ts';
import {
  type Config,
  configOfText,
  ENVIRONMENTS,
  type Environment,
  envFileOf,
  loadConfig,
  ROOT,
} from '../config/config.ts';
import { valuesIfReadable, valuesOf } from '../config/env-file.ts';
import { envFileProblem } from '../config/env-file-check.ts';
import { secretsOf } from '../config/variables.ts';
import { usageError } from '../core/errors.ts';
import { withLock } from '../core/lock.ts';
import { log, logTo } from '../core/log.ts';
import { hideSecrets } from '../core/redact.ts';
import { attempt } from '../core/signals.ts';
import { noteAges } from '../secrets/ages.ts';
import { forgetInitialPasswords, refuseKnownDatabase } from '../secrets/generate.ts';
import { answersTo, type Flags } from './answers.ts';
import type { SetupCheck } from './checks/check.ts';
import { configurationChecks } from './checks/configuration.ts';
import { dnsChecks, resolverOf } from './checks/dns.ts';
import { machineChecks } from './checks/machine.ts';
import { portChecks } from './checks/ports.ts';
import { type Files, planFiles } from './plan-files.ts';
import type { Known } from './questions.ts';
import { reportOf } from './report.ts';
import { readFiles, refuseUnwritableFiles, writeFiles } from './write-files.ts';

interface Options {
  flags: Flags;
  /** See {@link answersTo}. */
  yes?: boolean | undefined;
  /** See {@link resolverOf}. */
  resolver?: string | undefined;
}

/**
 * What init.ts does.
 *
 * @param load reads the configuration when the files are there
 * @throws a usage error where a file, the shell, a flag or an answer is wrong: nothing is changed; OperationalError where a file
 *   can't be written: the next run goes on
 */
export async function runInit(
  environment: Environment,
  { flags, yes, resolver: server }: Options,
  load: () => Config,
): Promise<Result> {
  const resolver = resolverOf(server);
  const standing = loadConfig(environment);
  const { stateDir, logDir, backupDir } = standing;
  const path = envFileOf(environment);
  const problem = existsSync(path) ? envFileProblem(environment, path, process.env) : undefined;
  if (problem) throw problem;
  // New secrets in the application's file would contradict those.
  const stray = strayRemark(standing);
  if (stray) throw usageError(stray.message, stray.hint);
  await refuseUnwritableFiles(environment);
  const before = readFiles(environment);
  const answers = await answersTo(knownOf(environment, before), flags, yes);
  const plan = planFiles(environment, before, answers, readFileSync(join(ROOT, '.env.app.example'), 'utf8'));
  hideSecrets(secretsOf(valuesOf(plan.app)));
  if (plan.written.env.includes('POSTGRES_PASSWORD'))
    await refuseKnownDatabase(configOfText(environment, plan.env));
  logTo(`${logDir}/init.log`);
  return withLock(stateDir, environment, 'init.ts', async () => {
    refuseOtherChange(before, readFiles(environment));
    if (plan.env !== before.env || plan.app !== before.app) log.changesBegin();
    await writeFiles(environment, before, plan);
    await forgetInitialPasswords(standing);
    const made = [...plan.written.env, ...plan.written.app];
    if (made.length > 0) await noteAges(standing, made);
    mkdirSync(backupDir, { recursive: true, mode: 0o700 });
    const config = load();
    const values = valuesOf(plan.env);
    const ports = [values.HTTP_PORT || '80', values.HTTPS_PORT || '443'];
    const checks = await Promise.all([
      lookedAt('dns', () => dnsChecks(config, resolver)),
      lookedAt('ports', () => portChecks(config, ports)),
      lookedAt('disk', () => machineChecks(config)),
    ]);
    return reportOf(config, plan, [...configurationChecks(config), ...checks.flat()]);
  });
}

/** @returns the lines of checks, or one on why they could not be made: the files are written all the same */
async function lookedAt(name: SetupCheck['name'], look: () => Promise<SetupCheck[]>): Promise<SetupCheck[]> {
  const { value, problem } = await attempt(look);
  return value ?? [{ name, status: 'unknown', message: problem!.message, hint: problem!.hint }];
}

/** An empty value counts as not set. */
function knownOf(environment: Environment, { env }: Files): Known {
  const set = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
  const other = ENVIRONMENTS.find(name => name !== environment)!;
  return { environment, values: set(valuesOf(env)), other: set(valuesIfReadable(envFileOf(other))) };
}

function refuseOtherChange(before: Files, now: Files): void {
  if (now.env === before.env && now.app === before.app) return;
  throw usageError('the env files were changed meanwhile; nothing was written', 'run it again.');
}
