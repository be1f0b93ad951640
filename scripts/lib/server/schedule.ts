import { join } from 'node:path';
import { ROOT } from '../config/config.ts';
import { CommandError, hasProgram } from '../core/shell.ts';
import { accountOf } from './accounts.ts';
import { asDeployUser } from './as-deploy-user.ts';
import { DEPLOY_USER } from './deploy-user.ts';
import { installMissing, packageDifferences } from './packages.ts';
import type { StepOf } from './step.ts';
import { startUnits, unitDifferences } from './units.ts';

const PACKAGES = ['cron'];
const UNITS = ['cron.service'];
const SCRIPT = join(ROOT, 'scripts/schedule.ts');

/** The recurring jobs, in the crontab of the user of deployments. */
export const schedule: StepOf = ({ environment }) => {
  const script = (action: string) =>
    asDeployUser('read the schedule', '"$1" "$2" --env "$3"', [SCRIPT, action, environment], {
      timeout: 120,
    });
  return {
    name: 'schedule',
    gives: `the jobs of schedule.ts in the crontab of ${DEPLOY_USER}`,
    async look() {
      if (!(await accountOf(DEPLOY_USER)))
        return { found: `no user ${DEPLOY_USER}`, differences: [`there is no user ${DEPLOY_USER}`] };
      const differences = [...(await packageDifferences(PACKAGES)), ...(await unitDifferences(UNITS))];
      if (!hasProgram('crontab')) return { found: 'no cron', differences };
      if (await succeeds(script('status')))
        return { found: 'a scheduler runs: the backup service', differences };
      // What `print` writes for the end of the block depends on the lines above it.
      const [block, crontab] = await Promise.all([
        script('print'),
        asDeployUser('read the crontab', 'crontab -l 2>/dev/null || true', []),
      ]);
      const lines = crontab.split('\n');
      const missing = jobLines(block).filter(line => !lines.includes(line));
      return {
        found: `${jobLines(block).length} jobs for the crontab of ${DEPLOY_USER}`,
        differences: [
          ...differences,
          ...(missing.length > 0
            ? [`the crontab of ${DEPLOY_USER} does not have ${missing.length} of them`]
            : []),
        ],
      };
    },
    async mend() {
      const done = [...(await installMissing(PACKAGES)), ...(await startUnits(UNITS))];
      if (await succeeds(script('status'))) return done;
      await script('install');
      return [...done, `installed the jobs in the crontab of ${DEPLOY_USER}`];
    },
  };
};

/** @returns the lines of a block that run something */
const jobLines = (block: string) => block.split('\n').filter(line => /^[\d*]/.test(line));

async function succeeds(asked: Promise<string>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
