/** The listing of the configuration, for people: within the columns of the terminal. */
import { plural, styled, wrap } from '../core/format.ts';
import type { Listed, Listing } from './listing.ts';

const NAME_WIDTH = 28;
const SOURCE_WIDTH = 11;

const dim = (text: string) => styled('dim', text, process.stdout);
const bold = (text: string) => styled('bold', text, process.stdout);
const red = (text: string) => styled('red', text, process.stdout);

/** @returns the whole listing; on a terminal of `columns`, longer values are cut */
export function listingText(
  { variables, unknown, absent, neededByCompose, ...all }: Listing,
  columns: number,
): string {
  const width = Math.max(20, columns - 2 - NAME_WIDTH - SOURCE_WIDTH - 2);
  const groups = [...new Set(variables.map(({ group }) => group))];
  const longest = Math.max(...variables.map(({ value }) => value?.length ?? 0));
  const rows = (group: string) =>
    variables.filter(each => each.group === group).map(each => row(each, Math.min(width, longest)));
  const foreign = unknown.map(({ name, line, kind, instead }) => {
    const meant = kind === 'retired' ? `set ${instead}` : kind === 'near' ? `is ${instead} meant?` : '';
    return `  ${name.padEnd(NAME_WIDTH)}${`line ${line}`.padEnd(SOURCE_WIDTH)}${meant}`.trimEnd();
  });
  const names = (list: string[]) =>
    list.length > 0 ? wrap(list.join(', '), Math.min(columns, 120) - 2).map(line => `  ${line}`) : [];
  const section = (title: string, lines: string[]) =>
    lines.length > 0 ? [`${bold(title)}\n${lines.join('\n')}`] : [];
  const others = all.problems.filter(line => !variables.some(({ name }) => line.startsWith(`${name}: `)));
  return [
    all.exists ? `file: ${all.file}` : `there is no ${all.file}`,
    ...groups.flatMap(group => section(group, rows(group))),
    ...section('Names of the file that no script reads', foreign),
    ...section('In .env.example but not in the file: the default holds', names(absent)),
    ...section('Not set, and the stack does not start without', names(neededByCompose)),
    ...section(
      'Wrong lines of the file',
      others.map(line => `  ${line}`),
    ),
    summary({ unknown, ...all }),
  ].join('\n\n');
}

function row({ name, value, source, problem }: Listed, width: number): string {
  const text = value === null ? '' : value.length > width ? `${value.slice(0, width - 1)}…` : value;
  const line = `${name.padEnd(NAME_WIDTH)}${text.padEnd(width)}  ${source}`;
  if (problem === undefined) return `  ${source === 'not set' || source === 'default' ? dim(line) : line}`;
  return `${red('✗')} ${line}\n    ${red(`wrong: ${problem}`)}`;
}

function summary({ problems, unknown, exists }: Pick<Listing, 'problems' | 'unknown' | 'exists'>): string {
  const misnamed = unknown.filter(({ kind }) => kind !== 'unknown').length;
  if (problems.length + misnamed === 0) return exists ? 'no value is wrong' : 'these are the defaults';
  return [
    ...(problems.length > 0 ? [plural(problems.length, 'wrong value')] : []),
    ...(misnamed > 0
      ? [`${plural(misnamed, 'name')} that ${misnamed === 1 ? 'has' : 'have'} no effect`]
      : []),
  ].join(', ');
}

/** @returns one variable: its value, where that is from, what it means */
export function variableText(
  { name, value, source, meaning, readBy, problem }: Listed,
  columns = 80,
): string {
  const facts: [string, string][] = [
    ['value', value ?? 'not set'],
    ...(problem === undefined ? [] : [['wrong', `it has to be: ${problem}`] as [string, string]]),
    ['from', source],
    ['read by', readBy],
    ['meaning', meaning],
  ];
  const indent = ' '.repeat(11);
  const lines = facts.map(([title, text]) => {
    const parts = title === 'value' ? [text] : wrap(text, Math.min(columns, 120) - indent.length);
    return `  ${title.padEnd(9)}${parts.join(`\n${indent}`)}`;
  });
  return [bold(name), ...lines].join('\n');
}
