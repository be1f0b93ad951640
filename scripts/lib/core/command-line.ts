/** How messages name commands, so that they can be pasted where the message is read. */
import { basename, join } from 'node:path';

/** Where the commands of a message will be run, and for which environment. */
export interface Place {
  /** The directory of the repository. */
  root: string;
  /** The working directory. */
  cwd: string;
  environment: string;
  /** The command that starts psql with the address and user of the configuration. Unset: psql stays as it is. */
  psql?: string | undefined;
}

/** What a message calls a script of ours: `./scripts/NAME.ts`; or `NAME.ts`, followed by an option. */
const SCRIPT = /(?<![\w./-])(?:\.\/scripts\/([a-z-]+\.ts)\b|([a-z-]+\.ts)(?= --[a-z]))([^`;\n]*)/g;
/** In what follows a script: its own `--env`, before another command. */
const HAS_ENVIRONMENT = /^(?:(?!\.ts\b).)* --env[ =]/;
const COMPOSE = /\bdocker compose (?=(?:up|stop|start|restart|ps|logs|run|exec|pull|rm) )/g;
const PSQL = /(?<![\w/-])psql (?=-[dlc]\b)/g;

/**
 * Messages write commands in a short form: `./scripts/restore.ts --undo`, `docker compose up -d backup`, `psql -l`.
 *
 * @returns the text with each in the form that acts on the environment of this run, from this directory: with `--env` where
 *   the script would choose another environment, with Compose's files, with psql's address
 */
export function pasteable(text: string, place: Place): string {
  const { root, cwd, environment, psql } = place;
  const path = (name: string) => (cwd === root ? name : word(join(root, name)));
  const given = process.env.DEPLOY_ENV || environment;
  // Compose refuses the environment's file where the shell names another.
  const named = given === environment ? '' : `DEPLOY_ENV=${environment} `;
  const compose = `${named}docker compose -f ${path(`docker-compose.${environment}.yml`)} --env-file ${path(`.env.${environment}`)} `;
  // A script without --env acts on the environment that DEPLOY_ENV names, which another shell may not have.
  const isDefault = environment === 'production' && given === environment;
  const script = (_: string, long: string | undefined, short: string | undefined, after: string): string => {
    const name = long ?? short!;
    const env = isDefault || HAS_ENVIRONMENT.test(after) ? '' : ` --env ${environment}`;
    return `${cwd === root ? `./scripts/${name}` : path(`scripts/${name}`)}${env}${after.replace(SCRIPT, script)}`;
  };
  return text
    .replace(SCRIPT, script)
    .replace(COMPOSE, () => compose)
    .replace(PSQL, each => (psql ? `${psql} ` : each));
}

/** @returns a word of a POSIX shell's command line, in quotes where it needs them */
export function word(text: string): string {
  return /^[\w./:@%+,-][\w./:@%+=,-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * @param script its name, such as `restore.ts`
 * @param otherwise its arguments where this run is one of another script
 * @param more options that are added
 * @param without an option with a value that is left out
 * @returns the command of this run with other options
 */
export function again(script: string, otherwise: string[], more: string[], without?: string): string {
  const own = process.argv.slice(2);
  const isOther = (each: string, index: number) =>
    without === undefined ||
    !(each === without || own[index - 1] === without || each.startsWith(`${without}=`));
  const isThis = basename(process.argv[1] ?? '') === script;
  return [`./scripts/${script}`, ...[...(isThis ? own.filter(isOther) : otherwise), ...more].map(word)].join(
    ' ',
  );
}
