import { styleText } from 'node:util';

/** @returns bytes in binary units with three significant digits: `1.43 GiB` */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** @returns seconds in readable units: `0.4 s`, `3 min 12 s`, `2 d 4 h` */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joinUnits(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86_400) return joinUnits(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min');
  return joinUnits(Math.floor(whole / 86_400), 'd', Math.floor((whole % 86_400) / 3600), 'h');
}

function joinUnits(major: number, majorUnit: string, minor: number, minorUnit: string): string {
  return minor === 0 ? `${major} ${majorUnit}` : `${major} ${majorUnit} ${minor} ${minorUnit}`;
}

/** @returns a whole number with thousands separated: `1,234,567`. The first toLocaleString of a process takes 10 ms. */
export function count(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** @returns `1 table`, `2 tables` */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** @returns a time in UTC, to the second: `2026-01-31 02:00:07 UTC` */
export function utc(instant: Date | string): string {
  return new Date(instant).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
}

/** @returns whether this is a time in UTC as `toISOString` writes it, with or without parts of a second */
export function isTime(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text)) return false;
  const instant = new Date(text);
  // JavaScript parses February 30 as March 2.
  return !Number.isNaN(instant.getTime()) && instant.toISOString().slice(0, 19) === text.slice(0, 19);
}

/** @returns a time as in the names of backups and databases: `20260131_020007` (UTC) */
export function stamp(instant: Date): string {
  return instant.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '_');
}

/** @returns the time of a text that {@link stamp} made */
export function parseStamp(text: string): Date {
  return new Date(text.replace(/^(....)(..)(..)_(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z'));
}

/** @returns lines of at most `width` characters, 20 at least; a longer word stays whole */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= Math.max(width, 20))
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** @returns the columns of the terminal that shows the output; no limit where there is none, or it does not know */
export const terminalWidth = (): number => process.stdout.columns || Number.POSITIVE_INFINITY;

/**
 * @param width columns of the terminal that shows it: where the table is wider, each row continues on further lines
 * @returns rows under a header in aligned columns; a column whose header starts with `>` is right-aligned
 */
export function table(header: string[], rows: string[][], width = terminalWidth()): string {
  const titles = header.map(title => title.replace(/^>/, ''));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map(row => (row[column] ?? '').length)),
  );
  const groups = columnsOfLines(widths, width);
  const aligned = (cells: string[], column: number) => {
    const cell = cells[column] ?? '';
    return header[column]?.startsWith('>') ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
  };
  const line = (cells: string[]) =>
    groups
      .map((group, index) => [
        index === 0 ? '' : FURTHER,
        group.map(column => aligned(cells, column)).join('  '),
      ])
      .flatMap(([indent, text], index) => {
        if (index > 0 && text!.trim() === '') return [];
        const parts = text!.length > width ? wrap(text!, width - FURTHER.length) : [text!];
        return parts.map((part, at) => `${at > 0 ? FURTHER : indent}${part}`.trimEnd());
      })
      .join('\n');
  return [line(titles), ...rows.map(line)].join('\n');
}

/** Before the lines that continue a row. */
const FURTHER = '    ';

/** @returns the columns of each line of a row, so that none is wider than the terminal if its columns are not */
function columnsOfLines(widths: number[], width: number): number[][] {
  const groups: number[][] = [[]];
  let used = 0;
  for (const [column, own] of widths.entries()) {
    if (used > 0 && used + 2 + own > width) {
      groups.push([]);
      used = FURTHER.length;
    }
    used += (groups.at(-1)!.length > 0 ? 2 : 0) + own;
    groups.at(-1)!.push(column);
  }
  return groups;
}

type Style = 'red' | 'yellow' | 'green' | 'bold' | 'dim';

/** @returns the text in a style if `stream` is a terminal that shows it and `NO_COLOR` is not set */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stderr): string {
  return styleText(style, text, { stream });
}

/**
 * @returns text for a part of a URL, such as a password, in which all but letters, digits, `-`, `.`, `_` and `~` is
 *   percent-encoded as UTF-8: no two programs read these differently
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-2.3
 */
export function percentEncoded(text: string): string {
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

/**
 * @param kept control characters that stay, such as line breaks
 * @returns text without what a terminal or an editor obeys or hides: control characters, escape sequences, and the format
 *   characters that change the direction of text or have no width. Each is shown by its code, such as `\x1b`.
 */
export function printable(text: string, kept = ''): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, character =>
    kept.includes(character) ? character : codeOf(character.codePointAt(0)!),
  );
}

function codeOf(point: number): string {
  const hex = point.toString(16);
  return point < 0x100
    ? `\\x${hex.padStart(2, '0')}`
    : `\\u${point < 0x10000 ? hex.padStart(4, '0') : `{${hex}}`}`;
}
