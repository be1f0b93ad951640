/**
 * What takes the place of deploy.ts, rollback.ts and health-check.ts where the way to them is tested: a small script
 * that says how it was called, holds the environment's lock, waits while `state/hold` is there, and ends as its first
 * argument or `state/health` says.
 */
export const SSH_SCRIPTS: Record<string, string> = Object.fromEntries(
  ['deploy', 'rollback', 'health-check'].map(verb => [
    `${verb}.ts`,
    `
import { existsSync, readFileSync } from 'node:fs';
import { command, execute } from './lib/cli.ts';
import { sleep } from './lib/interrupt.ts';
import { withLock } from './lib/lock.ts';

const flag = { type: 'boolean', help: '' } as const;
await execute(
  command({
    summary: '',
    usage: [],
    options: { yes: flag, surge: flag, plan: flag, list: flag, verbose: flag },
    examples: [],
    exitCodes: [],
    positionals: 2,
    changesState: ${verb !== 'health-check'},
    async run({ options, positionals, config: load }) {
      const { environment, stateDir } = load();
      const { SSH_AUTH_SOCK: agent, DISPLAY: display, LC_ALL: locale } = process.env;
      const json = { verb: '${verb}', options, positionals, environment, agent, display, locale };
      if (${verb === 'health-check'}) {
        const exitCode = existsSync(stateDir + '/health') ? Number(readFileSync(stateDir + '/health', 'utf8')) : 0;
        return { json, text: JSON.stringify(json), exitCode };
      }
      if (options.plan || options.list) return { text: JSON.stringify(json) };
      return withLock(stateDir, environment, '${verb}.ts', async () => {
        process.stderr.write('at work, process ' + process.pid + '\\n');
        if (positionals[0] === 'talks') process.stdout.write('0123456789abcde\\n'.repeat(200_000));
        while (existsSync(stateDir + '/hold')) await sleep(0.02);
        const [, exitCode] = /^exits-([0-9]+)$/.exec(positionals[0] ?? '') ?? [];
        return { text: JSON.stringify(json), exitCode: Number(exitCode ?? 0) };
      });
    },
  }),
);
`,
  ]),
);
