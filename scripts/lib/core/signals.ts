import { Interrupted } from './errors.ts';

/*
 * One signal for the whole process. SIGINT and SIGTERM abort it; whatever waits (commands, requests, locks)
 * listens to it and rejects, so that `finally` blocks clean up and the process leaves by the ordinary way.
 */
const controller = new AbortController();
let held = 0;
let pending: Interrupted | undefined;

export const interrupt: AbortSignal = controller.signal;

function arrive(signal: 'SIGINT' | 'SIGTERM') {
  pending = new Interrupted(signal);
  if (held === 0) controller.abort(pending);
}

/** Turns SIGINT, SIGTERM and a lost terminal into an abort of {@link interrupt}. Call once, before any work. */
export function listenForSignals(): void {
  process.on('SIGINT', () => arrive('SIGINT'));
  process.on('SIGTERM', () => arrive('SIGTERM'));
  process.on('SIGHUP', () => arrive('SIGTERM'));
}

/**
 * Runs `action` to its end even when a signal arrives meanwhile; the signal takes effect afterwards.
 * For steps of seconds that must not stop half-way.
 */
export async function uninterrupted<T>(action: () => Promise<T>): Promise<T> {
  held++;
  try {
    return await action();
  } finally {
    held--;
    if (held === 0 && pending) controller.abort(pending);
  }
}

/** Throws {@link Interrupted} if a signal has arrived. */
export function throwIfInterrupted(): void {
  if (held === 0) interrupt.throwIfAborted();
}

/** Throws {@link Interrupted} if a signal has arrived, even within {@link uninterrupted}: a good moment to turn back. */
export function throwIfSignalled(): void {
  if (pending) throw pending;
}

/** From now on signals that have arrived are dealt with: {@link throwIfSignalled} throws for the next one only. */
export function acknowledgeSignal(): void {
  pending = undefined;
}

/** Waits `seconds`, or rejects at once when a signal arrives. */
export function sleep(seconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (interrupt.aborted) return reject(interrupt.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(interrupt.reason);
    };
    const timer = setTimeout(() => {
      interrupt.removeEventListener('abort', abort);
      resolve();
    }, seconds * 1000);
    interrupt.addEventListener('abort', abort, { once: true });
  });
}
