#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { environmentOf } from './lib/config/config.ts';
import { Exit } from './lib/core/errors.ts';
import { runInit } from './lib/setup/run-init.ts';

export const init = command({
  summary: 'Write the env files of a new server, with new secrets, and check what the stack needs.',
  usage: ['[--env production|staging] [--domain NAME] [--yes] [--json]'],
  details:
    'Asks for the domains, the product’s name, images, S3 and Slack. An empty answer takes the value in brackets. Then it ' +
    'writes .env.<environment> for Compose and the scripts, and .env.<environment>.app for the application, makes the ' +
    'passwords, and checks DNS, ports, Docker, memory and disks. What it finds there are warnings.\n' +
    'A value that is set is never changed: a second run only asks for what is left. Secrets are no options: with --yes, ' +
    'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and SLACK_WEBHOOK_URL come from the environment.',
  options: {
    domain: { type: 'string', value: 'NAME', help: 'host name of the site, without www.' },
    'api-domain': { type: 'string', value: 'NAME', help: 'host name of the API; default: api.<domain>' },
    name: {
      type: 'string',
      value: 'NAME',
      help: 'prefix of containers, databases and backups; default: the first part of the domain',
    },
    'backend-image': { type: 'string', value: 'IMAGE', help: 'image of the API, with a tag or digest' },
    'frontend-image': { type: 'string', value: 'IMAGE', help: 'image of the web client' },
    's3-bucket': { type: 'string', value: 'NAME', help: 'bucket of the off-site backups; "" for none' },
    's3-endpoint': { type: 'string', value: 'URL', help: 'store other than Amazon’s' },
    's3-region': { type: 'string', value: 'REGION', help: 'region of the bucket; default: us-east-1' },
    resolver: {
      type: 'string',
      value: 'ADDRESS',
      help: 'DNS server to ask, with a port or without; default: that of this server',
    },
    yes: { type: 'boolean', help: 'take the default of each question that no option answers' },
  },
  examples: [
    ['init.ts', 'asks for everything'],
    ['init.ts --domain acme.example --yes', 'for the product acme; images, S3 and Slack are left out'],
    ['init.ts --env staging', 'on the same server; asks with the names of production'],
    ['init.ts --yes --resolver 1.1.1.1', 'again, for the checks: asks another DNS server'],
  ],
  exitCodes: [
    [Exit.done, 'both files are written, or had everything; the checks may warn'],
    [Exit.failed, 'a file can’t be written; the next run goes on'],
    [Exit.usage, 'wrong flags, values or answers, or no terminal to ask on: nothing was changed'],
    [Exit.locked, 'another run holds the lock'],
    [Exit.sigint, 'interrupted; before the changes begin, nothing was changed'],
  ],
  changesState: true,
  async run({ options: { env, yes, resolver, json: _, help: __, version: ___, ...flags }, config }) {
    return runInit(environmentOf(env), { flags, yes, resolver }, config);
  },
});

if (import.meta.main) await execute(init);
