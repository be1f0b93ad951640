/** The answers to the questions: of flags, of the environment, or of the terminal. */
import { domainToASCII } from 'node:url';
import { hasTerminal } from '../cli/confirm.ts';
import { openPrompt, type Prompt } from '../cli/prompt.ts';
import { databaseProblems } from '../config/database-variables.ts';
import { quoted, readEnvText } from '../config/env-file.ts';
import { siteOf, siteProblems } from '../config/site.ts';
import { readVariables, SECRET } from '../config/variables.ts';
import { usageError } from '../core/errors.ts';
import { styled, wrap } from '../core/format.ts';
import { hideSecrets } from '../core/redact.ts';
import { type Known, QUESTIONS, type Question } from './questions.ts';

/** The options that answer questions, by name. An empty one leaves its variable out. */
export type Flags = Record<string, string | undefined>;

/** @returns what is wrong with an answer, without it; undefined: nothing */
export function problemOf(name: string, value: string, { environment, values }: Known): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\0-\x1f\x7f\u2028\u2029]/.test(value)) return 'one line, without control characters';
  const [problem] = readVariables({ [name]: value }).problems;
  if (problem) return `${problem.slice(`${name}: `.length)}${meant(name, value)}`;
  const { values: read, problems } = readEnvText(`${name}=${quoted(value)}\n`);
  if (problems.length > 0 || read[name] !== value) return 'a value that an env file can hold';
  const now = { ...values, [name]: value };
  const together =
    name === 'APP_NAME'
      ? databaseProblems(environment, { ...now, APP_NAME: value })
      : name === 'DOMAIN' || name === 'API_DOMAIN'
        ? siteProblems(siteOf(environment, now))
        : [];
  return together[0]?.replace(/^\w+: /, '');
}

/** @returns the host name that is probably meant by one in another form: `; is acme.example meant?` */
function meant(name: string, value: string): string {
  if (!/DOMAIN$/.test(name)) return '';
  const bare = value
    .trim()
    .replace(/^[a-z]+:\/\//i, '')
    .replace(/[/:?#].*$/, '')
    .replace(/\.$/, '');
  const host = domainToASCII(name === 'DOMAIN' ? bare.replace(/^www\./i, '') : bare);
  return host && host !== value && readVariables({ [name]: host }).problems.length === 0
    ? `; is ${host} meant?`
    : '';
}

/**
 * Asks for what neither the file nor a flag says, again until the answer can be used.
 *
 * @param flags see {@link Flags}
 * @param yes takes the default in the place of each question, and secrets from the environment
 * @returns the values of the variables that are to be set
 * @throws a usage error where a flag is wrong or contradicts the file, and where a question stays open
 */
export async function answersTo(
  known: Known,
  flags: Flags,
  yes: boolean | undefined,
): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  const now = { ...known, values: { ...known.values } };
  const open: Question[] = [];
  let prompt: Prompt | undefined;
  try {
    for (const question of QUESTIONS) {
      const { name, flag, standard, isAsked, isIdle } = question;
      const given = flag === undefined ? undefined : flags[flag];
      if (isAsked?.(now) === false) {
        if (given)
          throw usageError(`--${flag} belongs to --s3-bucket`, 'add --s3-bucket NAME, or leave both out.');
        continue;
      }
      if (now.values[name] && !isIdle?.(known)) {
        if (given !== undefined) refuseOther(question, given, now);
        continue;
      }
      let answer: string | undefined;
      if (given !== undefined) answer = checked(question, given, now, `--${flag}`);
      else if (yes)
        answer = checked(question, flag ? (standard?.(now) ?? '') : (process.env[name] ?? ''), now);
      else if (hasTerminal()) {
        prompt ??= openPrompt();
        answer = await asked(question, now, prompt);
      } else {
        open.push(question);
        answer = standard?.(now); // whether further questions would be asked
      }
      if (answer) now.values[name] = answers[name] = answer;
    }
  } finally {
    prompt?.close();
  }
  if (open.length > 0) throw unanswered(open);
  return answers;
}

function refuseOther({ name, flag }: Question, given: string, { environment, values }: Known): void {
  if (given === values[name]) return;
  throw usageError(
    `--${flag}: ${name} is set to another value in .env.${environment}, and what is set is not changed`,
    `leave the flag out, or change ${name} in the file.`,
  );
}

/** @throws a usage error where the answer of a flag, of the environment or by default can't be used */
function checked(question: Question, answer: string, known: Known, source = question.name): string {
  const { name, flag, isNeeded } = question;
  if (SECRET.test(name)) hideSecrets([answer]);
  if (answer === '' && !isNeeded) return answer;
  const problem = answer === '' ? 'needed' : problemOf(name, answer, known);
  if (problem === undefined) return answer;
  const how = flag ? `give --${flag}` : `set ${name} in the environment`;
  throw usageError(`${source}: ${problem}`, `${how}, or answer on a terminal, without --yes.`);
}

async function asked(question: Question, known: Known, prompt: Prompt): Promise<string> {
  const { name, flag, text, standard, isNeeded } = question;
  const value = standard?.(known);
  const bracket = value ? ` [${value}]` : isNeeded ? '' : ' [leave out]';
  const width = Math.min(process.stderr.columns || 80, 100) - 2;
  process.stderr.write(`\n${wrap(text, width).join('\n')}\n`);
  for (;;) {
    const typed = await prompt.ask(`${styled('bold', name)}${bracket}: `, flag === undefined);
    if (typed === undefined)
      throw usageError(
        'the input has ended; nothing was changed',
        'run it again, or give flags: see --help.',
      );
    const answer = typed.trim() || value || '';
    if (SECRET.test(name)) hideSecrets([answer]);
    if (answer === '' && !isNeeded) return '';
    const problem = answer === '' ? 'needed' : problemOf(name, answer, known);
    if (problem === undefined) return answer;
    process.stderr.write(`${wrap(`✗ ${name}: ${problem}`, width).join('\n  ')}\n`);
  }
}

function unanswered(open: Question[]) {
  const flags = open.flatMap(({ flag }) => (flag ? [`--${flag}`] : []));
  const secrets = open.flatMap(({ flag, name }) => (flag ? [] : [name]));
  const answered = flags.length > 0 ? `answer with ${flags.join(', ')}, and ` : '';
  return usageError(
    `there is no terminal to ask these on: ${open.map(({ name }) => name).join(', ')}`,
    `${answered}add --yes for the default of each question that is left${
      secrets.length > 0 ? '; it takes secrets, where they are set, from the environment' : ''
    }.`,
  );
}
