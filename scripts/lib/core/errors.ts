/** Exit codes of every script except health-check.ts, which follows the Nagios convention. */
export const Exit = {
  done: 0,
  failed: 1,
  usage: 2,
  verification: 3,
  offsite: 4,
  locked: 75, // EX_TEMPFAIL of sysexits.h: try again later
  sigint: 130,
  sigterm: 143,
} as const;

export type ExitCode = (typeof Exit)[keyof typeof Exit];

/**
 * A failure that an operator can act on: printed as two lines, what is wrong and what to do next, with the details of a
 * program between them. Every other error is a bug and is printed with its stack.
 */
export class OperationalError extends Error {
  readonly hint: string;
  readonly exitCode: ExitCode;
  /** Lines, or none, such as PostgreSQL's DETAIL, HINT and CONTEXT. They can quote data: for the terminal and the log only. */
  readonly details: string;

  constructor(
    message: string,
    hint: string,
    exitCode: ExitCode = Exit.failed,
    { details = '', ...options }: ErrorOptions & { details?: string } = {},
  ) {
    super(message, options);
    this.name = 'OperationalError';
    this.hint = hint;
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** @returns the error as it is shown: what is wrong, its details, what to do next */
export function textOf({ message, details, hint }: OperationalError): string {
  return [message, ...details.split('\n').filter(Boolean), `→ ${hint}`].join('\n  ');
}

/** A backup, an artifact or a restored database is not what its manifest says. */
export function verificationError(message: string, hint: string): OperationalError {
  return new OperationalError(message, hint, Exit.verification);
}

/** Wrong options, arguments or configuration; nothing was started. */
export function usageError(message: string, hint: string): OperationalError {
  return new OperationalError(message, hint, Exit.usage);
}

/** SIGINT or SIGTERM arrived; running commands have been ended. */
export class Interrupted extends OperationalError {
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(
      `interrupted by ${signal}`,
      'partial files are removed and the lock is free: run the same command again.',
      signal === 'SIGINT' ? Exit.sigint : Exit.sigterm,
    );
  }
}

/** What to do when a disk is full. */
export const DISK_FULL_HINT =
  'free some space: ./scripts/prune-backups.ts deletes expired backups, ./scripts/restore.ts --finish drops kept databases.';

/** What to do about errors of the operating system that are not bugs: disks and permissions. */
const SYSTEM_HINTS: Record<string, string> = {
  ENOSPC: DISK_FULL_HINT,
  EDQUOT: 'this user’s quota is used up: free some space, or raise it.',
  EROFS: 'the disk is mounted read-only: `mount` and `dmesg` say why.',
  EACCES: 'run as the user who owns it, or correct its permissions.',
  EPERM: 'run as the user who owns it, or correct its permissions.',
  EIO: 'the disk may be failing: see `dmesg`.',
};

/** @returns the error itself, or an operational one for an error of the operating system that an operator can act on */
export function operational(error: unknown): unknown {
  const { code = '', syscall } = (error ?? {}) as NodeJS.ErrnoException;
  const hint = syscall === 'connect' ? undefined : SYSTEM_HINTS[code]; // EPERM of connect comes from a firewall, not from a file
  if (hint === undefined || error instanceof OperationalError) return error;
  return new OperationalError(messageOf(error), hint, Exit.failed, { cause: error });
}

/** @returns the exit code of a script that this error ends */
export function exitCodeOf(error: unknown): ExitCode {
  const thrown = operational(error);
  return thrown instanceof OperationalError ? thrown.exitCode : Exit.failed;
}

/** @returns the message of anything that can be thrown */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && !error.message) {
    return messageOf(error.errors[0]); // Node throws this for a refused connection to a name with two addresses
  }
  return error instanceof Error ? error.message || error.name : String(error);
}
