import { setTimeout as delay } from 'node:timers/promises';
import { Interrupted, OperationalError, operational } from './errors.ts';

/*
 * One AbortSignal for the whole process. SIGINT and SIGTERM abort it; everything that waits (commands, requests, locks)
 * listens to it and rejects, so that `finally` blocks clean up and the process exits normally.
 */
let controller = new AbortController();
let deferrals = 0;
let pending: Interrupted | undefined;

export let interrupt: AbortSignal = controller.signal;

function receive(signal: 'SIGINT' | 'SIGTERM') {
  pending = new Interrupted(signal);
  if (deferrals === 0) controller.abort(pending);
}

/** Turns SIGINT, SIGTERM and a lost terminal into an abort of {@link interrupt}. Call once, before any work. */
export function listenForSignals(): void {
  process.on('SIGINT', () => receive('SIGINT'));
  process.on('SIGTERM', () => receive('SIGTERM'));
  process.on('SIGHUP', () => receive('SIGTERM'));
}

/**
 * Runs `action` to its end even when a signal arrives meanwhile; the signal takes effect afterwards.
 * For steps that must not stop half-way.
 */
export async function deferSignals<T>(action: () => Promise<T>): Promise<T> {
  deferrals++;
  try {
    return await action();
  } finally {
    deferrals--;
    if (deferrals === 0 && pending) controller.abort(pending);
  }
}

/**
 * Within {@link deferSignals}: runs long work that a signal ends at once. {@link acknowledgeSignal} lets what follows run.
 * @throws Interrupted when a signal has arrived
 */
export async function obeySignals<T>(action: () => Promise<T>): Promise<T> {
  throwIfSignalled();
  const outer = deferrals;
  deferrals = 0;
  try {
    return await action();
  } finally {
    deferrals = outer;
  }
}

/** @throws Interrupted if a signal has arrived, unless it is deferred */
export function throwIfInterrupted(): void {
  if (deferrals === 0) interrupt.throwIfAborted();
}

/** @throws Interrupted if a signal has arrived, even within {@link deferSignals}: where it is safe to stop */
export function throwIfSignalled(): void {
  if (pending) throw pending;
}

/** Marks the signals that have arrived as handled: {@link throwIfSignalled} only throws for the next one. */
export function acknowledgeSignal(): void {
  pending = undefined;
  if (!controller.signal.aborted) return;
  controller = new AbortController();
  interrupt = controller.signal;
}

/**
 * Waits `seconds`.
 * @throws Interrupted as soon as a signal arrives; the reason of `until` as soon as that is aborted
 */
export async function sleep(seconds: number, until?: AbortSignal): Promise<void> {
  const signal = until ? AbortSignal.any([interrupt, until]) : interrupt;
  await delay(seconds * 1000, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/**
 * Waits for `work`, at most `seconds`. Work that hangs is not stopped: it ends with this process.
 * @throws OperationalError after `seconds`; Interrupted as soon as a signal arrives
 */
export async function withTimeout<T>(seconds: number, work: () => Promise<T>, purpose?: string): Promise<T> {
  const over = new AbortController();
  const timeout = async (): Promise<never> => {
    await sleep(seconds, over.signal);
    const message = `${purpose ? `could not ${purpose}: ` : ''}no answer in ${seconds} s`;
    throw new OperationalError(message, 'check whether the server hangs.');
  };
  try {
    return await Promise.race([work(), timeout()]);
  } finally {
    over.abort();
  }
}

/**
 * @returns the result, or the failure that an operator can act on
 * @throws a signal and a bug
 */
export async function attempt<T>(work: () => Promise<T>): Promise<{ value?: T; problem?: OperationalError }> {
  try {
    return { value: await work() };
  } catch (error) {
    const problem = operational(error);
    if (!(problem instanceof OperationalError) || interrupt.aborted) throw error;
    return { problem };
  }
}
