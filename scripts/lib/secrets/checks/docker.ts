/** Who can read the secrets in what Docker tells of its containers. */
import { existsSync, statSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { textOfEnvFile } from '../../config/env-file.ts';
import { initialNames } from '../../config/initial-passwords.ts';
import { messageOf, OperationalError } from '../../core/errors.ts';
import { CommandError, hasProgram, run } from '../../core/shell.ts';
import { lookAtListed, projectOf } from '../../docker/containers.ts';
import { docker } from '../../health/docker.ts';
import { hasDatabase } from '../generate.ts';
import { secretValues, valuesHere } from '../kinds.ts';
import type { Finding } from './finding.ts';

/** What `docker container inspect` says of one. */
export interface Inspected {
  Name: string;
  Path: string;
  Args: string[];
  Config: { Env: string[] | null; Labels: Record<string, string> | null; Healthcheck?: { Test?: string[] } };
}

/** Characters of the shortest value that is looked for. */
const SHORTEST = 8;

/**
 * @param values the secrets, by name
 * @returns the containers that have one where it does not belong: in arguments, labels and health checks of any, in the
 *   variables of those of other projects
 */
export function containerFindings(
  containers: Inspected[],
  values: Map<string, string>,
  project: string,
): Finding[] {
  const secrets = [...values].filter(([, value]) => value.length >= SHORTEST);
  return containers.flatMap(({ Name, Path, Args, Config: { Env, Labels, Healthcheck } }) => {
    const isOurs = Labels?.['com.docker.compose.project'] === project;
    const places: [string, string[]][] = [
      ['arguments', [Path, ...Args]],
      ['labels', Object.values(Labels ?? {})],
      ['health check', Healthcheck?.Test ?? []],
      ...(isOurs ? [] : [['variables', Env ?? []] as [string, string[]]]),
    ];
    return places.flatMap(([place, texts]) => {
      const found = secrets.filter(([, value]) => texts.some(text => text.includes(value)));
      const names = found.map(([name]) => name).join(' and ');
      const what = `${Name.replace(/^\//, '')}: its ${place} have the value of ${names}`;
      return found.length > 0 ? [fault(what, 'remove that container, then replace the secret.')] : [];
    });
  });
}

/** @returns users who can ask Docker, and containers that show a secret where none belongs */
export async function dockerFindings(config: Config): Promise<Finding[]> {
  if (!hasProgram('docker')) return [unknown('there is no docker on PATH')];
  const found = [...(await memberFindings(config)), ...socketFindings(), ...(await initialFindings(config))];
  try {
    const text = await lookAtListed(
      () => docker(config, ['ps', '--all', '--quiet']),
      ids => docker(config, ['container', 'inspect', ...ids]),
    );
    if (text === undefined) return found;
    const containers = JSON.parse(text) as Inspected[];
    return [...found, ...containerFindings(containers, secretValues(valuesHere(config)), projectOf(config))];
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return [...found, unknown(messageOf(error))];
  }
}

/** A new database gets the passwords of an earlier start. */
async function initialFindings(config: Config): Promise<Finding[]> {
  const names = existsSync(config.envFile) ? initialNames(textOfEnvFile(config.envFile)) : [];
  if (names.length === 0 || (await hasDatabase(config)) !== false) return [];
  const what = `${names.join(', ')}: a new database would get these, and not the passwords that hold`;
  return [fault(what, './scripts/secrets.ts generate removes them, before the first start.')];
}

/** The containers have their variables, and whoever may use Docker can read those. */
async function memberFindings({ envFile }: Config): Promise<Finding[]> {
  const ask = (...argv: string[]) =>
    run(['getent', ...argv], { purpose: `look for the ${argv.join(' ')}` }).catch(error => {
      if (error instanceof CommandError) return ''; // there is no such group
      throw error;
    });
  const [group, owner] = await Promise.all([
    ask('group', 'docker'),
    ask('passwd', `${statSync(envFile, { throwIfNoEntry: false })?.uid ?? 0}`),
  ]);
  const members = (group.trim().split(':')[3] ?? '').split(',').filter(Boolean);
  const others = members.filter(name => name !== owner.split(':')[0] && name !== 'root');
  if (others.length === 0) return [];
  return [
    {
      check: 'docker',
      status: 'warning',
      message: `others can use Docker, and so read all secrets: ${others.join(', ')}`,
      hint: `take those out who need no Docker: gpasswd --delete ${others[0]} docker`,
    },
  ];
}

function socketFindings(path = '/var/run/docker.sock'): Finding[] {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (!(mode & 0o006)) return [];
  return [
    fault(
      `every user of this server can use Docker, and read all secrets: ${path} is open`,
      `chmod o-rw ${path}`,
    ),
  ];
}

const fault = (message: string, hint: string): Finding => ({
  check: 'docker',
  status: 'fault',
  message,
  hint,
});
const unknown = (why: string): Finding => ({
  check: 'docker',
  status: 'unknown',
  message: `who can read the secrets through Docker is not known: ${why}`,
  hint: 'run it on the server of the stack, as a user who can use Docker.',
});
