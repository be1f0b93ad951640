import { existsSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Config, ROOT } from '../config/config.ts';
import { writeVariables } from '../config/env-file.ts';
import { word } from '../core/command-line.ts';
import { OperationalError } from '../core/errors.ts';
import { CommandError, run } from '../core/shell.ts';
import { type Account, accountOf } from './accounts.ts';
import { DEPLOY_USER } from './deploy-user.ts';
import type { StepOf } from './step.ts';

/** The directory of the repository: all in it belongs to the user of deployments, who writes the env file and the lists. */
export const directories: StepOf = config => ({
  name: 'directories',
  gives: `${ROOT}, backups, logs and state, owned by ${DEPLOY_USER}`,
  async look() {
    const account = await accountOf(DEPLOY_USER);
    if (!account)
      return { found: `no user ${DEPLOY_USER}`, differences: [`there is no user ${DEPLOY_USER}`] };
    const { uid, gid } = account;
    const reached = await canEnter();
    const user = `${uid}:${gid}`;
    return {
      found: `${ROOT} for ${DEPLOY_USER} (${user})`,
      differences: [
        ...(reached ? [] : [`${DEPLOY_USER} can't enter ${ROOT}`]),
        ...(await permissionDifferences(config, account)),
        ...(config.backupUser === user ? [] : [`BACKUP_USER is ${config.backupUser}, not ${user}`]),
      ],
    };
  },
  async mend() {
    const account = await accountOf(DEPLOY_USER);
    if (!account) throw new OperationalError(`there is no user ${DEPLOY_USER}`, 'the step user makes it.');
    const { uid, gid } = account;
    if (!(await canEnter()))
      throw new OperationalError(
        `${DEPLOY_USER} can't enter ${ROOT}: a directory above it is closed to other users`,
        `move the repository, such as to /opt: mv ${word(ROOT)} ${word(join('/opt', config.app))}`,
      );
    const done: string[] = [];
    if (config.backupUser !== `${uid}:${gid}`) {
      await writeVariables(config.envFile, { BACKUP_USER: `${uid}:${gid}` });
      done.push(`set BACKUP_USER to ${uid}:${gid} in ${config.envFile}`);
    }
    for (const path of privates(config)) {
      if (!existsSync(path)) {
        await mkdir(path, { recursive: true, mode: 0o700 });
        done.push(`made ${path}`);
      } else if (modeDifference(path, 0o700).length > 0) {
        await chmod(path, 0o700);
        done.push(`set the mode of ${path} to 700`);
      }
    }
    for (const path of secretFiles(config)) {
      if (!existsSync(path) || modeDifference(path, 0o600).length === 0) continue;
      await chmod(path, 0o600);
      done.push(`set the mode of ${path} to 600`);
    }
    // A run as root that makes it would leave it root's.
    if (!existsSync(historyOf(config))) await writeFile(historyOf(config), '', { mode: 0o600 });
    await chown(historyOf(config), uid, gid);
    for (const tree of trees(config)) {
      if ((await firstForeign(tree, uid, gid)).length === 0) continue;
      const owner = ['chown', '--no-dereference', `${uid}:${gid}`];
      await run([...foreign(tree, uid, gid), '-exec', ...owner, '{}', '+'], {
        purpose: `give ${tree} to ${DEPLOY_USER}`,
        timeout: 600,
      });
      done.push(`gave ${tree} to ${DEPLOY_USER}`);
    }
    return done;
  },
});

/**
 * Looks at modes and owners of the directories and files of the scripts, as any user who can read them.
 * @param account whose they are to be
 * @returns a line for each difference
 */
export async function permissionDifferences(
  config: Config,
  { name, uid, gid }: Pick<Account, 'name' | 'uid' | 'gid'>,
): Promise<string[]> {
  const others = (await Promise.all(trees(config).map(tree => firstForeign(tree, uid, gid)))).flat();
  return [
    ...privates(config).flatMap(path => modeDifference(path, 0o700)),
    ...secretFiles(config).flatMap(path => (existsSync(path) ? modeDifference(path, 0o600) : [])),
    ...(existsSync(historyOf(config)) ? [] : [`${historyOf(config)} is missing`]),
    ...others.map(path => `${path} does not belong to ${name}`),
  ];
}

const privates = ({ backupDir, logDir, stateDir }: Config) => [backupDir, logDir, stateDir];
const secretFiles = ({ envFile, appFile }: Config) => [envFile, appFile];
const historyOf = ({ stateDir }: Config) => join(stateDir, 'history.jsonl');

/** Directories outside of the repository are trees of their own. */
const trees = (config: Config) => [
  ROOT,
  ...privates(config).filter(path => !path.startsWith(`${ROOT}/`) && existsSync(path)),
];

function modeDifference(path: string, mode: number): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return [`${path} is missing`];
  const is = found.mode & 0o7777;
  return is === mode ? [] : [`${path} has mode ${is.toString(8)}, not ${mode.toString(8)}`];
}

/** The repository itself may still be root's and closed; what is above it is not ours to open. */
async function canEnter(): Promise<boolean> {
  const argv = ['runuser', '--user', DEPLOY_USER, '--', 'test', '-x', dirname(ROOT)];
  try {
    await run(argv, { purpose: `enter ${dirname(ROOT)} as ${DEPLOY_USER}` });
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

/**
 * @returns a command that finds what belongs to somebody else; other file systems in the tree are not looked at, nor the
 *   compiled code that each run keeps
 */
const foreign = (tree: string, uid: number, gid: number) => [
  ...['find', tree, '-xdev', '-path', join(ROOT, 'node_modules/.cache/*'), '-type', 'f', '-prune', '-o'],
  ...['(', '!', '-uid', `${uid}`, '-o', '!', '-gid', `${gid}`, ')'],
];

async function firstForeign(tree: string, uid: number, gid: number): Promise<string[]> {
  const argv = [...foreign(tree, uid, gid), '-print', '-quit'];
  const text = await run(argv, { purpose: 'look for files of others', timeout: 300 });
  return text === '' ? [] : [text.trimEnd()];
}
