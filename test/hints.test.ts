/* Each command that a message or a page names exists, with its options, and acts on the right environment. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type Command, parseArguments } from '../scripts/lib/cli/command.ts';
import { COMMON, type Options } from '../scripts/lib/cli/help.ts';
import { loadConfig, ROOT } from '../scripts/lib/config/config.ts';
import { allChecks } from '../scripts/lib/health/all-checks.ts';
import { commandOf } from './support/cli/commands.ts';
import { NOT_RUN, RUN_BY } from './support/cli/hint-tests.ts';
import {
  dockerHints,
  type Hint,
  messages,
  pageCommands,
  scriptHints,
  shellWords,
  VALUE,
} from './support/cli/hints.ts';

const commands = new Map<string, Command<Options>>();
for (const path of globSync('scripts/*.ts', { cwd: ROOT }))
  commands.set(basename(path), (await commandOf(join(ROOT, path))) as unknown as Command<Options>);
const takesValue = (script: string, option: string) =>
  ({ ...commands.get(script)?.options, ...COMMON })[option.replace(/^--/, '')]?.type === 'string';
/** The mark of a schema, which is none. */
const NO_HINTS = ['unfinished copy by restore.ts --table'];
const unnamed = new Set(
  messages().flatMap(({ file, line, text }) => (NO_HINTS.includes(text) ? [`${file}:${line}`] : [])),
);
const hints = scriptHints([...commands.keys()], takesValue).filter(({ at }) => !unnamed.has(at));
const docker = dockerHints();
const pages = pageCommands();

class Reached extends Error {}

/** @returns why a script refuses these arguments before it reads its configuration; undefined: it does not */
async function refusal(script: string, args: string[]): Promise<string | undefined> {
  const definition = commands.get(script);
  if (!definition) return 'there is no such script';
  try {
    const parsed = parseArguments(definition, args);
    const { options } = parsed as { options: Record<string, unknown> };
    if (options['skip-backup'] && !options.reason) return '--skip-backup needs --reason';
    const names = allChecks(loadConfig('production', {})).flatMap(({ name, page }) => [name, page]);
    const only = script === 'health-check.ts' ? options.only : undefined;
    const wrong = `${only ?? ''}`.split(',').filter(each => each && !names.includes(each));
    if (wrong.length > 0) return `no check ${wrong}`;
    if (['config.ts', 'drill.ts', 'init.ts', 'ssh-command.ts'].includes(script) || options.help)
      return undefined;
    const config = () => {
      throw new Reached();
    };
    await definition.run({ ...parsed, config } as never);
    return undefined;
  } catch (error) {
    return error instanceof Reached ? undefined : (error as Error).message;
  }
}

/** @returns all that is wrong, each with its place */
async function wrongOf<T extends { at: string }>(
  all: T[],
  judge: (each: T) => Promise<string | undefined> | string | undefined,
): Promise<string[]> {
  const found = await Promise.all(all.map(async each => [each.at, await judge(each)]));
  return found.filter(([, problem]) => problem).map(([at, problem]) => `${at}: ${problem}`);
}

test('every command of ours in a message is accepted by its script', async () => {
  assert.ok(hints.length > 40, `${hints.length}`);
  const judge = async ({ program, args }: Hint) => {
    const real = args.map(each => (each === VALUE || each === 'BACKUP' ? 'latest' : each));
    const problem = await refusal(program, real);
    return problem && `${program} ${real.join(' ')}: ${problem}`;
  };
  assert.equal(await wrongOf(hints, judge), []);
});

test('every example of the help is accepted by its script', async () => {
  const examples = [...commands].flatMap(([at, { examples }]) =>
    examples.map(([command]) => ({ at, command })),
  );
  const judge = ({ command }: { command: string }) => {
    const [program = '', ...args] = shellWords(command);
    return program.endsWith('.ts') ? refusal(basename(program), args) : undefined;
  };
  assert.equal(await wrongOf(examples, judge), []);
});

/** Commands of this run with other options: `again('restore.ts', […], ['--database', …])`. */
const repeated = globSync('scripts/lib/**/*.ts', { cwd: ROOT }).flatMap(file =>
  [
    ...readFileSync(join(ROOT, file), 'utf8').matchAll(
      /again\(\s*'([\w.-]+)',\s*\[[^\]]*\],\s*\['(--[\w-]+)'/g,
    ),
  ].map(([, program, option]) => ({ file, program: program!, args: ['…', option!] })),
);

test('the options that a message adds to this run exist', () => {
  assert.ok(repeated.length >= 6, `${repeated.length}`);
  for (const { file, program, args } of repeated)
    assert.ok(Object.hasOwn(commands.get(program)!.options, args[1]!.slice(2)), `${file}: ${args}`);
});

test('messages leave the path, the environment and the files of a command to what prints it', async () => {
  const own = hints.filter(hint => isMessage(hint));
  const judge = ({ program, args, hasPath }: Hint) => {
    if (!hasPath) return `${program} ${args.join(' ')} is written without ./scripts/`;
    return args.includes('--env') ? `${program} has --env` : undefined;
  };
  assert.equal(await wrongOf(own, judge), []);
  const composed = docker.filter(hint => hint.args[0] === 'compose' && isMessage(hint));
  assert.ok(composed.length >= 3);
  assert.equal(
    composed
      .filter(({ args }) => args.some(each => /^(-f|--file|--env-file)$/.test(each)))
      .map(({ at }) => at),
    [],
  );
});

/** Meanings of variables say who reads them; what prints commands writes them with all. */
const isMessage = ({ file }: { file: string }) => !/lib\/config\/|command-line\.ts|cli\/place\.ts/.test(file);

const environments = ['production', 'staging'] as const;
const services = Object.fromEntries(
  environments.map(each => [
    each,
    Object.keys(parse(readFileSync(join(ROOT, `docker-compose.${each}.yml`), 'utf8')).services),
  ]),
) as Record<(typeof environments)[number], string[]>;

/** The options of Docker's commands that messages and pages use: https://docs.docker.com/reference/cli/docker/ */
const DOCKER: Record<string, string[]> = {
  logs: ['--tail', '--since'],
  ps: ['-a', '--all', '--filter', '--format'],
  exec: ['-i', '-it'],
  cp: [],
  start: [],
  stop: [],
  unpause: [],
  restart: [],
  rm: [],
  login: [],
  pull: [],
  inspect: ['--format'],
  stats: ['--no-stream'],
  'image prune': ['-f', '-a'],
  'builder prune': ['-f'],
  'volume ls': [],
  'system df': [],
  'system prune': ['-a'],
  load: [],
  build: [],
};
const COMPOSE: Record<string, string[]> = {
  up: ['-d', '--build', '--wait', '--no-recreate', '--force-recreate', '--no-deps', '--timeout=5'],
  stop: [],
  ps: [],
  exec: [],
  run: ['--rm'],
};

/** @param args after `docker compose` @returns what is wrong in each of the environments */
function wrongCompose(args: string[], within: readonly (typeof environments)[number][]): string | undefined {
  const [verb = '', ...rest] = args;
  if (!COMPOSE[verb]) return `docker compose ${verb}`;
  // After the service, these have a command of the container.
  const words =
    verb === 'run' || verb === 'exec'
      ? rest.slice(0, rest.findIndex(word => !word.startsWith('-')) + 1)
      : rest;
  for (const word of words) {
    const isKnown = word.startsWith('-')
      ? COMPOSE[verb].includes(word)
      : word === VALUE || within.every(each => services[each].includes(word));
    if (!isKnown) return `docker compose ${verb} … ${word}`;
  }
  return undefined;
}

function wrongDocker(args: string[]): string | undefined {
  const verb = [args.slice(0, 2).join(' '), args[0]!].find(each => DOCKER[each]);
  if (!verb) return `docker ${args.join(' ')}`;
  // What follows a container's name is the command that runs in it.
  const own =
    verb === 'exec'
      ? args.slice(
          1,
          args.findIndex((word, index) => index > 0 && !word.startsWith('-')),
        )
      : args;
  const wrong = own.find(word => word.startsWith('-') && !DOCKER[verb]!.includes(word));
  return wrong && `docker ${verb} ${wrong}`;
}

test('the commands of Docker in messages exist, with their options and services', async () => {
  const real = docker.filter(
    hint => isMessage(hint) && !/^docker (here|on|down|denied|and) ?/.test(hint.text),
  );
  assert.ok(real.length > 12, `${real.length}`);
  const judge = ({ args }: Hint) => {
    if (args[0] !== 'compose') return wrongDocker(args);
    const words = args.slice(1);
    const end = words.findIndex(word => /^(or|and|starts?)$/.test(word));
    return wrongCompose(words.slice(0, end < 0 ? undefined : end), environments);
  };
  assert.equal(await wrongOf(real, judge), []);
});

/** Other programs of the pages. */
const PROGRAMS =
  'npm git flock mkdir install cd cp chmod $EDITOR ssh-keygen ssh-keyscan grep sort uniq head rm cat systemctl tail df du ls ps dmesg timedatectl touch tr crontab age age-keygen sops aws umask mv'.split(
    ' ',
  );

test('the commands of the pages exist, with their options, services and containers', async () => {
  assert.ok(pages.length > 150, `${pages.length}`);
  const containers = services.production.map(name => `$APP_NAME-${name}-production`);
  const judge = async ({ at, command }: { at: string; command: string }): Promise<string | undefined> => {
    const words = shellWords(command);
    const [program = '', ...args] = words.slice(words.findIndex(word => !/^[A-Z_]+=/.test(word)));
    if (program === '' || command.startsWith('#') || /^APP_NAME=/.test(command)) return undefined;
    // test/stack/switch.test.ts runs what that page says of the old installation.
    if (at.startsWith('docs/SWITCH.md:') && !program.startsWith('./scripts/')) return undefined;
    if (program.startsWith('./scripts/')) {
      const real = args.map(each => (/^<\w+>$|^…$/.test(each) ? 'latest' : each));
      const problem = await refusal(basename(program), real);
      return problem && !(args.length === 0 && /give/.test(problem)) ? `${command}: ${problem}` : undefined;
    }
    if (program !== 'docker') return PROGRAMS.includes(program) ? undefined : `${program} is not known`;
    const container = args.find(word => /^\$APP_NAME-.*-production$/.test(word));
    if (container && !containers.includes(container)) return `no container ${container}`;
    if (args.length === 1 || args[1] === '…') return undefined; // a name in a sentence
    if (args[0] !== 'compose') return wrongDocker(args);
    const [, f, file = '', e, envFile = '', ...rest] = args;
    if (f !== '-f') return /^compose up -d$/.test(args.join(' ')) ? undefined : `${command} has no file`;
    const environment = environments.find(each => file === `docker-compose.${each}.yml`);
    if (!environment || e !== '--env-file' || envFile !== `.env.${environment}`)
      return `${command}: ${file}, ${envFile}`;
    return wrongCompose(rest, [environment]);
  };
  assert.equal(await wrongOf(pages, judge), []);
});

/** Of a command in a message: a test runs it, or there is a reason why none does. */
test('each command of ours in a message has a test that runs it, or a reason', () => {
  const own = hints.filter(hint => isMessage(hint) && hint.hasPath);
  const keys = new Set(
    [...own, ...repeated].map(({ file, program, args }) =>
      [`${file.replace(/^scripts\//, '')}: ${program}`, ...args].join(' '),
    ),
  );
  const known = [...Object.keys(RUN_BY), ...Object.keys(NOT_RUN)];
  assert.equal(
    [...keys].filter(key => !known.includes(key)),
    [],
  );
  assert.equal(
    known.filter(key => !keys.has(key)),
    [],
  );
  for (const [key, path] of Object.entries(RUN_BY)) {
    assert.ok(existsSync(join(ROOT, 'test', path)), `${key}: ${path}`);
    assert.ok(readFileSync(join(ROOT, 'test', path), 'utf8').includes('paste('), `${path} pastes no command`);
  }
});

test.run();
