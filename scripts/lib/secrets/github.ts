/** What the workflows need on GitHub, and where it goes. test/secrets/github.test.ts compares it with the workflows. */
import type { Result } from '../cli/command.ts';
import type { Environment } from '../config/config.ts';
import { table } from '../core/format.ts';

interface Setting {
  name: string;
  kind: 'secret' | 'variable';
  /** The repository's, or of each environment. */
  where: 'repository' | 'environment';
  /** Where the value is. */
  value: string;
  optional?: true;
}

export const SETTINGS: Setting[] = [
  {
    name: 'BACKEND_CONTEXT',
    kind: 'variable',
    where: 'repository',
    value: 'the directory that the backend’s image is built from; unset: CI builds no image',
    optional: true,
  },
  {
    name: 'FRONTEND_CONTEXT',
    kind: 'variable',
    where: 'repository',
    value: 'the frontend’s',
    optional: true,
  },
  {
    name: 'SLACK_WEBHOOK_URL',
    kind: 'secret',
    where: 'repository',
    value: 'a webhook as in the env file; unset: no message',
    optional: true,
  },
  { name: 'DEPLOY_HOST', kind: 'variable', where: 'environment', value: 'the server’s name or address' },
  { name: 'DEPLOY_PORT', kind: 'variable', where: 'environment', value: 'default: 22', optional: true },
  {
    name: 'DEPLOY_USER',
    kind: 'variable',
    where: 'environment',
    value: 'the owner of this directory, who can use Docker',
  },
  {
    name: 'DEPLOY_KEY',
    kind: 'secret',
    where: 'environment',
    value: 'the private key whose public one is in DEPLOY_AUTHORIZED_KEYS',
  },
  {
    name: 'DEPLOY_KNOWN_HOSTS',
    kind: 'secret',
    where: 'environment',
    value: 'the server’s line of known_hosts, compared with its own key',
  },
];

/** @returns the names, where each goes, and the command that puts it there and asks for the value; no value of this server */
export function settingsOnGitHub(environment: Environment): Result {
  const rows = SETTINGS.map(({ name, kind, where, value, optional }) => {
    const place = where === 'environment' ? `environment ${environment}` : 'repository';
    const command = `gh ${kind} set ${name}${where === 'environment' ? ` --env ${environment}` : ''}`;
    return { name, kind, where: place, value, optional: optional === true, command };
  });
  const text = [
    table(
      ['NAME', 'KIND', 'WHERE', 'VALUE'],
      rows.map(({ name, kind, where, value, optional }) => [
        name,
        kind,
        where,
        optional ? `optional: ${value}` : value,
      ]),
    ),
    '',
    'Each of these asks for the value, so that it is in no argument; a key from a file: < FILE',
    ...rows.map(({ command }) => `  ${command}`),
    '',
    `No password of .env.${environment} goes to GitHub: the workflows run scripts on the server, which has them.`,
  ].join('\n');
  return { text, json: { environment, settings: rows } };
}
