/** What init.ts says at its end. */
import { basename } from 'node:path';
import type { Result } from '../cli/command.ts';
import type { Config, Environment } from '../config/config.ts';
import { readEnvFile } from '../config/env-file.ts';
import { neededByCompose } from '../config/listing.ts';
import { styled } from '../core/format.ts';
import type { SetupCheck } from './checks/check.ts';
import type { Plan } from './plan-files.ts';
import { QUESTIONS } from './questions.ts';

const MARKS: Record<SetupCheck['status'], string> = {
  ok: styled('green', '✓', process.stdout),
  warning: styled('yellow', 'warning:', process.stdout),
  unknown: styled('yellow', 'unknown:', process.stdout),
};

/** @returns the files, the checks, and the next command */
export function reportOf(config: Config, { written }: Plan, checks: SetupCheck[]): Result {
  const { environment, envFile, appFile } = config;
  const { values } = readEnvFile(envFile);
  const missing = missingFor(environment, values);
  const hasDocker = checks.some(({ name, status }) => name === 'docker' && status === 'ok');
  const next = nextStep(missing, basename(envFile), hasDocker);
  const file = (path: string, names: string[]) =>
    `${basename(path)}: ${names.length > 0 ? `set ${names.join(', ')}` : 'unchanged'}`;
  return {
    text: [
      file(envFile, written.env),
      file(appFile, written.app),
      '',
      ...checks.map(textOf),
      '',
      `next: ${next}`,
    ].join('\n'),
    json: { environment, written, missing, checks, next },
  };
}

const missingFor = (environment: Environment, values: Record<string, string>) =>
  neededByCompose(environment).filter(name => !values[name]);

const isAsked = (name: string) => QUESTIONS.some(question => question.name === name);

/** On a bare server, Docker comes before the stack. */
const nextStep = (missing: string[], file: string, hasDocker: boolean) =>
  [
    ...(hasDocker ? [] : ['./scripts/setup-server.ts --check as root, which says what this server lacks']),
    ...(missing.length > 0
      ? [
          `set ${missing.join(', ')} in ${file}${missing.every(isAsked) ? ' (./scripts/init.ts asks for them)' : ''}`,
        ]
      : []),
    'docker compose up -d --wait',
  ].join(', then ');

const textOf = ({ name, status, message, hint }: SetupCheck) =>
  `${MARKS[status]} ${name}: ${message}${hint ? `\n  → ${hint}` : ''}`;
