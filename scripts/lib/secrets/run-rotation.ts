/** Replaces secrets while the stack serves. */
import { refuseWrongEnvFiles } from '../config/application.ts';
import type { Config } from '../config/config.ts';
import { refuseUnwritable, textOfEnvFile, withVariables } from '../config/env-file.ts';
import { Interrupted, messageOf, OperationalError, operational, usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { preflight } from '../core/preflight.ts';
import { acknowledgeSignal, deferSignals, throwIfSignalled } from '../core/signals.ts';
import { refuseUnfinished } from '../deploy/journal.ts';
import { nginxTimes, testNginx } from '../nginx/reload.ts';
import { refuseUnwritableLists, wantedBackends } from '../nginx/upstreams.ts';
import { noteAges } from './ages.ts';
import { ownSecrets, previousOf, type Secret, valuesHere } from './kinds.ts';
import { refuseIrreplaceable } from './replace-backends.ts';
import { application } from './rotate-application.ts';
import { redis } from './rotate-redis.ts';
import { applicationRole, backupRole, superuser } from './rotate-roles.ts';
import {
  deleteRotation,
  newRotation,
  type Rotation,
  refuseUnfinishedRotation,
  writeRotation,
} from './rotation-journal.ts';
import { type Procedure, reread } from './rotation-step.ts';

/** @returns how a secret is replaced */
function procedureOf({ name, kind }: Secret, app: Record<string, string>): Procedure {
  const of = { superuser, 'application role': applicationRole, 'backup role': backupRole, redis };
  return kind === 'application' ? application(name, previousOf(name) in app) : of[kind];
}

/**
 * @returns the secret of this name, and how it is replaced
 * @throws a usage error where it is none of our own, or has no value
 */
export function rotationOf(config: Config, name: string): { secret: Secret; procedure: Procedure } {
  const values = valuesHere(config);
  const all = ownSecrets(Object.keys(values.app));
  const secret = all.find(each => each.name === name);
  if (!secret)
    throw usageError(
      `${name} is no secret that these scripts can replace`,
      `they can replace ${all.map(each => each.name).join(', ')}. Others are issued elsewhere: get a new value there.`,
    );
  if (!values[secret.file][name])
    throw usageError(`${name} is empty`, 'make it: ./scripts/secrets.ts generate');
  return { secret, procedure: procedureOf(secret, values.app) };
}

/** Checks all that a rotation needs. Changes nothing. @throws a usage error or OperationalError that lists all that is wrong */
export async function refuseRotation(config: Config, name: string): Promise<void> {
  refuseUnfinished(config);
  refuseUnfinishedRotation(config);
  const { secret, procedure } = rotationOf(config, name);
  const file = secret.file === 'env' ? config.envFile : config.appFile;
  await preflight(
    async () => refuseShell([name, 'DATABASE_URL', 'REDIS_URL']),
    () => refuseUnwritable(file),
    async () => void withVariables(textOfEnvFile(file), { [name]: 'x' }, file), // a value of several lines can't be replaced
    () => procedure.preflight(config),
    ...(procedure.backends ? backendChecks(config) : []),
  );
}

const backendChecks = (config: Config) => [
  () => refuseWrongEnvFiles(config),
  () => testNginx(config),
  async () => void nginxTimes(),
  () => refuseUnwritableLists(),
  () => refuseIrreplaceable(config, wantedBackends()),
];

/** Compose takes a variable of the shell before that of the file, and so would the new instances. */
function refuseShell(names: string[]): void {
  const set = names.filter(name => process.env[name]);
  if (set.length === 0) return;
  throw usageError(
    `variables of this shell override the file, for Compose as well: ${set.join(', ')}`,
    `unset them: unset ${set.join(' ')}`,
  );
}

/**
 * Replaces one secret. Signals are deferred: one ends it between two commands, and the journal stays.
 *
 * @throws OperationalError where a step fails: the stack works with what it has, and --resume goes on
 */
export async function rotate(config: Config, name: string): Promise<void> {
  const { procedure } = rotationOf(config, name);
  const servers = procedure.backends ? wantedBackends() : [];
  const rotation = newRotation(name, procedure.steps[0]!.name, servers);
  await writeRotation(config, rotation);
  await runSteps(config, rotation);
}

/** Ends a rotation that a killed or failed run has left. @throws like {@link rotate} */
export const resumeRotation = (config: Config, rotation: Rotation): Promise<void> =>
  runSteps(config, rotation);

function runSteps(config: Config, rotation: Rotation): Promise<void> {
  const { name } = rotation;
  const { steps } = rotationOf(config, name).procedure;
  const first = steps.findIndex(step => step.name === rotation.step);
  if (first < 0)
    throw new OperationalError(
      `the journal of the rotation of ${name} is at a step that this version does not have: ${rotation.step}`,
      'finish it with the version that began it.',
    );
  return deferSignals(async () => {
    try {
      for (const [at, step] of steps.slice(first).entries()) {
        throwIfSignalled();
        if (at > 0) {
          Object.assign(rotation, { step: step.name, old: null });
          await writeRotation(config, rotation);
        }
        log.info(`${name}: ${step.name}`);
        await step.run(reread(config), rotation);
      }
      await noteAges(reread(config), [name]);
      await deleteRotation(config);
    } catch (error) {
      throw unfinished(name, error);
    }
    log.done(`${name} is replaced`);
  });
}

function unfinished(name: string, error: unknown): unknown {
  const known = operational(error);
  if (!(known instanceof OperationalError)) return error;
  if (known instanceof Interrupted) acknowledgeSignal();
  const why = known instanceof Interrupted ? '' : `${known.hint} `;
  return new OperationalError(
    `${name} is not replaced yet: ${messageOf(known)}`,
    `${why}The stack works with what it has; then ./scripts/secrets.ts rotate --resume finishes it.`,
    known.exitCode,
    { cause: error, details: known.details },
  );
}
