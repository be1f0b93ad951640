#!/usr/bin/env -S sh -c 'root="$(readlink -f "$0")"; root="${root%/*/*}"; . "$root/scripts/node"'
import { command, execute } from './lib/cli/command.ts';
import { environmentOf } from './lib/config/config.ts';
import { envFileProblem } from './lib/config/env-file-check.ts';
import { misnamed, nearestName, unknownNames } from './lib/config/known-names.ts';
import { type Listing, listing } from './lib/config/listing.ts';
import { listingText, variableText } from './lib/config/listing-text.ts';
import { Exit, textOf, usageError } from './lib/core/errors.ts';
import { terminalWidth } from './lib/core/format.ts';
import { log } from './lib/core/log.ts';

export const config = command({
  summary: 'Show each variable, its value, and where that comes from. Secrets are masked.',
  usage: ['[NAME] [--env production|staging] [--json]'],
  details:
    'A value comes from the first of these that has it: the environment, .env.<environment> (with its line here), the ' +
    'default. Names that no script reads are listed with the name that was probably meant. Changes nothing.',
  options: {},
  examples: [
    ['config.ts', 'all variables of production, and all that is wrong with them'],
    ['config.ts BACKUP_DIR', 'one variable, with what it means'],
    ['config.ts --env staging --json', 'for another program'],
  ],
  exitCodes: [
    [Exit.done, 'no value is wrong'],
    [Exit.usage, 'a value or name is wrong, or the file can’t be used; or wrong flags'],
  ],
  positionals: 1,
  async run({ options, positionals: [name] }) {
    const environment = environmentOf(options.env);
    const all = listing(environment);
    const found = all.variables.find(variable => variable.name === name);
    if (name !== undefined && !found) throw noVariable(name);
    const problem = envFileProblem(environment, all.file, process.env);
    if (problem) log.error(textOf(problem));
    if (found) {
      const exitCode = problem || found.problem !== undefined ? Exit.usage : Exit.done;
      return { text: variableText(found, terminalWidth()), json: found, exitCode };
    }
    const isWrong = problem !== undefined || all.problems.length > 0 || hasMisnamed(all);
    return {
      text: listingText(all, terminalWidth()),
      json: { environment, ...all },
      exitCode: isWrong ? Exit.usage : Exit.done,
    };
  },
});

const hasMisnamed = ({ unknown }: Listing) => unknown.some(each => misnamed(each) !== undefined);

function noVariable(name: string) {
  const near = nearestName(name);
  const [retired] = unknownNames([name]).filter(({ kind }) => kind === 'retired');
  return usageError(
    `no variable is called ${JSON.stringify(name)}`,
    retired ? `set ${retired.instead}.` : `${near ? `is ${near} meant? ` : ''}./scripts/config.ts lists all.`,
  );
}

if (import.meta.main) await execute(config);
