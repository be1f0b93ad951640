/** Questions on the terminal. They are shown on stderr: stdout is for results. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { interrupt } from '../core/signals.ts';

export interface Prompt {
  /**
   * @param hidden the answer is not shown, as a secret must not be
   * @returns the line that is typed; undefined: the input has ended
   * @throws Interrupted at a signal
   */
  ask(question: string, hidden?: boolean): Promise<string | undefined>;
  close(): void;
}

/**
 * Opens one reader for all questions: lines that are typed ahead answer one question after the other. What is typed while no
 * question is open is not shown: it may be the answer to a hidden one.
 */
export function openPrompt(): Prompt {
  let silent = true;
  const output = new Writable({
    write(chunk: Buffer, _, done) {
      if (!silent) process.stderr.write(chunk);
      done();
    },
  });
  const terminal = process.stdin.isTTY === true;
  const reader = createInterface({ input: process.stdin, output, terminal, historySize: 0 });
  // It reads Ctrl+C itself.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const lines: string[] = [];
  let ended = false;
  let look = () => {};
  reader.on('line', line => {
    silent = true;
    lines.push(line);
    look();
  });
  reader.on('close', () => {
    ended = true;
    look();
  });
  const ask = (question: string, hidden = false) =>
    new Promise<string | undefined>((resolve, reject) => {
      const over = (result: () => void) => {
        look = () => {};
        interrupt.removeEventListener('abort', stop);
        result();
      };
      const stop = () => over(() => reject(interrupt.reason));
      if (interrupt.aborted) return reject(interrupt.reason);
      interrupt.addEventListener('abort', stop, { once: true });
      const isUnseen = hidden || lines.length > 0;
      if (isUnseen) process.stderr.write(question);
      else if (!ended) {
        silent = false;
        reader.setPrompt(question);
        reader.prompt();
      }
      look = () => {
        if (lines.length === 0 && !ended) return;
        if (isUnseen) process.stderr.write('\n');
        over(() => resolve(lines.shift()));
      };
      look();
    });
  return { ask, close: () => reader.close() };
}
