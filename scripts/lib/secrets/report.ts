/** What `status` and `verify` print: names and ages, never a value. */
import { basename } from 'node:path';
import type { Result } from '../cli/command.ts';
import type { Config } from '../config/config.ts';
import { Exit } from '../core/errors.ts';
import { plural, styled, table } from '../core/format.ts';
import { type Aged, agedSecrets } from './ages.ts';
import { dockerFindings } from './checks/docker.ts';
import { gitFindings, modeFindings } from './checks/files.ts';
import type { Finding } from './checks/finding.ts';
import { valueFindings } from './checks/values.ts';
import { previousOf, valuesHere } from './kinds.ts';
import { readRotation } from './rotation-journal.ts';

/** @returns each secret of our own with its age and its policy; exit code 1 where one is due, or a rotation is not finished */
export function status(config: Config): Result {
  const { environment, envFile, appFile } = config;
  const all = agedSecrets(config);
  const { app } = valuesHere(config);
  const secrets = all.map(each => ({
    name: each.name,
    file: basename(each.file === 'env' ? envFile : appFile),
    state: each.state,
    ageDays: each.age,
    older: each.older,
    policyDays: each.days,
    due: each.due,
    previousAccepted: Boolean(app[previousOf(each.name)]),
  }));
  const due = secrets.filter(each => each.due).map(({ name }) => name);
  const rotation = readRotation(config);
  const noted = all.every(({ state }) => state === 'noted' || state === 'empty');
  const text = [
    table(
      ['NAME', 'FILE', 'AGE', 'POLICY', 'STATE'],
      secrets.map((each, at) => [
        each.name,
        each.file,
        ageOf(all[at]!),
        `${each.policyDays} days`,
        `${stateOf(all[at]!)}${each.previousAccepted ? '; the old value is accepted as well' : ''}`,
      ]),
    ),
    '',
    ...(noted ? [] : ['ages are noted from now on by: ./scripts/secrets.ts generate']),
    rotation
      ? `the rotation of ${rotation.name} is not finished: ./scripts/secrets.ts rotate --resume`
      : due.length > 0
        ? 'next: ./scripts/secrets.ts rotate --due'
        : 'nothing is due',
  ].join('\n');
  const exitCode = due.length > 0 || rotation ? Exit.failed : Exit.done;
  return { text, json: { environment, secrets, due, unfinished: rotation?.name ?? null }, exitCode };
}

const ageOf = ({ age, older }: Aged) =>
  age === null ? 'unknown' : `${older ? 'at least ' : ''}${plural(age, 'day')}`;

const stateOf = ({ state, due }: Aged) => (state === 'noted' ? (due ? 'due' : 'ok') : state);

const MARKS: Record<Finding['status'], string> = {
  fault: styled('red', '✗', process.stdout),
  warning: styled('yellow', 'warning:', process.stdout),
  unknown: styled('yellow', 'unknown:', process.stdout),
};

/** @returns what is wrong with the secrets, and with who can read them; exit code 3 where anything is */
export async function verify(config: Config): Promise<Result> {
  const { environment } = config;
  const findings = [
    ...valueFindings(config),
    ...modeFindings(),
    ...(await gitFindings(config)),
    ...(await dockerFindings(config)),
  ];
  const faults = findings.filter(each => each.status === 'fault').length;
  const end = faults > 0 ? `${plural(faults, 'fault')}` : 'no fault';
  const lines = findings.map(
    ({ check, status: how, message, hint }) => `${MARKS[how]} ${check}: ${message}\n  → ${hint}`,
  );
  return {
    text: [...lines, end].join('\n'),
    json: { environment, faults, findings },
    exitCode: faults > 0 ? Exit.verification : Exit.done,
  };
}
