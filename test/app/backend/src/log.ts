type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Writes one JSON object as one line on stdout. Errors are written with their stack. */
export function log(level: Level, message: string, fields: Record<string, unknown> = {}): void {
  const plain = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? (value.stack ?? String(value)) : value,
    ]),
  );
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...plain })}\n`);
}

/** Libraries write through console: their lines have to be JSON as well. */
export function logConsole(): void {
  for (const method of ['debug', 'info', 'warn', 'error', 'log'] as const) {
    console[method] = (...parts: unknown[]) =>
      log(method === 'log' ? 'info' : method, parts.map(String).join(' '));
  }
}
