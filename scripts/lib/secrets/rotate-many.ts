/** What `rotate` does: one secret, all that are due, or the one whose rotation was interrupted. */
import type { Result } from '../cli/command.ts';
import { confirm, requireTerminal } from '../cli/confirm.ts';
import type { Config } from '../config/config.ts';
import { usageError } from '../core/errors.ts';
import { log } from '../core/log.ts';
import { agedSecrets } from './ages.ts';
import { readRotation } from './rotation-journal.ts';
import { reread } from './rotation-step.ts';
import { refuseRotation, resumeRotation, rotate, rotationOf } from './run-rotation.ts';

export interface Wanted {
  name?: string | undefined;
  due?: boolean | undefined;
  resume?: boolean | undefined;
  yes?: boolean | undefined;
  looking: boolean;
}

/**
 * The caller holds the environment's lock, unless it only looks.
 * @throws a usage error or OperationalError: what was replaced before stays, see {@link rotate}
 */
export async function rotateWanted(config: Config, wanted: Wanted): Promise<Result> {
  const { environment } = config;
  const { name, due, resume, yes, looking } = wanted;
  if ([name, due, resume].filter(Boolean).length !== 1)
    throw usageError(
      'rotate needs a name, --due or --resume',
      './scripts/secrets.ts status shows the names.',
    );
  if (!looking) requireTerminal(yes);
  if (resume) return finish(config, wanted);
  const names = name ? [name] : agedSecrets(config).flatMap(each => (each.due ? [each.name] : []));
  if (names.length === 0) return { text: 'nothing is due', json: { environment, rotated: [] } };
  const plan = names.map(each => ({ name: each, ...rotationOf(config, each).procedure }));
  const lines = plan.flatMap(({ name: each, note, steps }) => [
    `${each}: ${note}`,
    ...steps.map(step => `  ${step.name}`),
  ]);
  for (const each of names) await refuseRotation(config, each);
  const steps = plan.map(each => ({ name: each.name, steps: each.steps.map(step => step.name) }));
  if (looking) return { text: lines.join('\n'), json: { dryRun: true, environment, plan: steps } };
  for (const line of lines) log.info(line);
  await confirm(`This replaces ${names.join(', ')} of ${environment}.`, environment, yes);
  log.changesBegin();
  for (const each of names) await rotate(reread(config), each);
  return done(config, names);
}

async function finish(config: Config, { yes, looking }: Wanted): Promise<Result> {
  const rotation = readRotation(config);
  if (!rotation) throw usageError('no rotation was interrupted', 'give a name to begin one.');
  const { name, step } = rotation;
  const what = `This goes on with the rotation of ${name}, at the step “${step}”.`;
  if (looking) return { text: what, json: { dryRun: true, environment: config.environment, name, step } };
  await confirm(what, config.environment, yes);
  log.changesBegin();
  await resumeRotation(config, rotation);
  return done(config, [name]);
}

function done({ environment, envFile }: Config, rotated: string[]): Result {
  return {
    text: `replaced: ${rotated.join(', ')}\nnext: keep a new copy of ${envFile} and of the application’s file outside of this server`,
    json: { environment, rotated },
  };
}
