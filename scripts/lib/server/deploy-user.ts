import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { word } from '../core/command-line.ts';
import { OperationalError } from '../core/errors.ts';
import { writeWhole } from '../core/files.ts';
import { sh } from '../core/shell.ts';
import { accountOf, isLocked } from './accounts.ts';
import { optionsOf, parseKey } from './public-keys.ts';
import type { StepOf } from './step.ts';

/** Who owns the repository, and whom a workflow and cron are. */
export const DEPLOY_USER = 'deploy';
/** Whoever is in it can use Docker. The package of Docker takes one that is there. */
const GROUP = 'docker';

/** The user of deployments, whose keys run `ssh-command.ts` and nothing else. */
export const deployUser: StepOf = config => ({
  name: 'user',
  gives: `the user ${DEPLOY_USER}, whose SSH keys run ssh-command.ts only`,
  async look() {
    const account = await accountOf(DEPLOY_USER);
    if (!account)
      return { found: `no user ${DEPLOY_USER}`, differences: [`there is no user ${DEPLOY_USER}`] };
    const text = readKeys(account.home);
    const found = `${DEPLOY_USER} (${account.uid}:${account.gid}) with ${keyLines(text).length} key(s)`;
    return {
      found: config.deployKeys.length > 0 ? found : `${found}; DEPLOY_AUTHORIZED_KEYS is not configured`,
      differences: [
        ...(account.groups.includes(GROUP) ? [] : [`${DEPLOY_USER} is not in the group ${GROUP}`]),
        ...((await isLocked(DEPLOY_USER)) ? [] : [`${DEPLOY_USER} has a password`]),
        ...modeDifferences(account),
        ...keyDifferences(text, config),
      ],
    };
  },
  async mend() {
    const done: string[] = [];
    if (!(await accountOf(DEPLOY_USER))) {
      await sh('make the user')`useradd --create-home --shell /bin/bash --user-group ${DEPLOY_USER}`;
      done.push(`made the user ${DEPLOY_USER}`);
    }
    if (!(await isLocked(DEPLOY_USER))) {
      await sh('lock the password')`passwd --lock ${DEPLOY_USER}`;
      done.push(`locked the password of ${DEPLOY_USER}`);
    }
    if (!(await accountOf(DEPLOY_USER))!.groups.includes(GROUP)) {
      await sh('make the group')`groupadd --force --system ${GROUP}`;
      await sh('add the user to the group')`usermod --append --groups ${GROUP} ${DEPLOY_USER}`;
      done.push(`added ${DEPLOY_USER} to the group ${GROUP}`);
    }
    return [...done, ...(await writeKeys((await accountOf(DEPLOY_USER))!, config))];
  },
});

/** @returns what ~/.ssh/authorized_keys has; '' without one */
const readKeys = (home: string): string => {
  const path = join(home, '.ssh/authorized_keys');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

const keyLines = (text: string) => text.split('\n').filter(line => parseKey(line));

type Keys = Pick<Config, 'environment'> & { deployKeys: readonly string[] };

/** @returns the line of ~/.ssh/authorized_keys of one public key */
export function lineFor(key: string, { environment }: Pick<Config, 'environment'>): string {
  const command = `${word(join(ROOT, 'scripts/ssh-command.ts'))} --env ${environment}`;
  return `restrict,command="${command.replaceAll('"', '\\"')}" ${key}`;
}

/** @returns the keys that are missing, and those that run more than the forced command */
export function keyDifferences(text: string, config: Keys): string[] {
  const lines = text.split('\n');
  const missing = config.deployKeys
    .filter(key => !lines.includes(lineFor(key, config)))
    .map(key => `${shortKey(key)} of DEPLOY_AUTHORIZED_KEYS has no line for ${config.environment}`);
  const free = keyLines(text)
    .filter(line => !isForced(line))
    .map(line => `${shortKey(line)} of ~${DEPLOY_USER}/.ssh/authorized_keys can run any command`);
  return [...missing, ...free];
}

/** Nothing but the path of the script: `sh -c '…' /scripts/ssh-command.ts` is another command. */
const FORCED =
  /(?:^|,)command="'?(?:\/[\w.@+-]+)+\/scripts\/ssh-command\.ts'? --env (?:production|staging)"(?:,|$)/;

function isForced(line: string): boolean {
  const options = optionsOf(line);
  return /(?:^|,)restrict(?:,|$)/.test(options) && FORCED.test(options);
}

/** @returns a key as it is shown: its comment, or its end */
const shortKey = (line: string) => {
  const { blob, comment } = parseKey(line)!;
  return `the key ${comment || `…${blob.slice(-12)}`}`;
};

/**
 * @returns the text with the keys of the configuration as forced commands of their environment; a line with such a key
 *   that is no forced command is replaced
 */
export function withKeys(text: string, config: Keys): string {
  const own = new Set(config.deployKeys.map(key => parseKey(key)!.blob));
  const wanted = config.deployKeys.map(key => lineFor(key, config));
  const lines = text.split('\n');
  const kept = lines.filter(line => {
    const key = parseKey(line);
    if (!key || !own.has(key.blob) || wanted.includes(line)) return true;
    return isForced(line) && !line.includes(`--env ${config.environment}`);
  });
  const missing = wanted.filter(line => !kept.includes(line));
  if (missing.length === 0) return kept.join('\n');
  if (kept.at(-1) === '') kept.pop();
  return [...kept, ...missing, ''].join('\n');
}

interface Home {
  uid: number;
  gid: number;
  home: string;
}

/** sshd takes no key from a file that another user could write (StrictModes). */
function modeDifferences({ uid, home }: Home): string[] {
  return ['.ssh', '.ssh/authorized_keys'].flatMap(name => {
    const path = join(home, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return [`${path} is missing`];
    const mode = name === '.ssh' ? 0o700 : 0o600;
    if (found.uid === uid && (found.mode & 0o777) === mode) return [];
    return [
      `${path} has mode ${(found.mode & 0o7777).toString(8)} and owner ${found.uid}, not ${mode.toString(8)} and ${uid}`,
    ];
  });
}

async function writeKeys(account: Home, config: Config): Promise<string[]> {
  const { uid, gid, home } = account;
  const directory = join(home, '.ssh');
  const path = join(directory, 'authorized_keys');
  const before = readKeys(home);
  const after = withKeys(before, config);
  if (modeDifferences(account).length === 0 && after === before && keyDifferences(after, config).length === 0)
    return [];
  await mkdir(directory, { recursive: true });
  await writeWhole(path, after);
  for (const [each, mode] of [
    [directory, 0o700],
    [path, 0o600],
  ] as const) {
    await chown(each, uid, gid);
    await chmod(each, mode);
  }
  const left = keyDifferences(after, config);
  if (left.length > 0)
    throw new OperationalError(
      left.join('; '),
      `delete its line from ${path}, or put its public part into DEPLOY_AUTHORIZED_KEYS.`,
    );
  return [after === before ? `corrected the owner and modes of ${path}` : `wrote ${path}`];
}
