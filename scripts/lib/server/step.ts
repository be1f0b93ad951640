/** What a server gets, in steps. Each looks first, and changes only what differs. */
import type { Config } from '../config/config.ts';
import type { OperationalError } from '../core/errors.ts';

/** What a step finds. */
export interface Look {
  /** In a few words: `2.00 GiB of swap`. */
  found: string;
  /** What is, and what it should be: one line each. */
  differences: string[];
}

export interface Step {
  name: string;
  /** What the server has after it, for the help. */
  gives: string;
  /** Changes nothing. */
  look: () => Promise<Look>;
  /**
   * Removes the differences.
   *
   * @returns what it did, a line each
   * @throws OperationalError where it is not safe to go on; what it has changed by then works
   */
  mend: (look: Look) => Promise<string[]>;
}

/** A step of the server of one environment. */
export type StepOf = (config: Config) => Step;

/** What became of a step. */
export interface Outcome {
  step: string;
  found: string;
  /** That were there at first. */
  differences: string[];
  done: string[];
  /** That are there in the end. */
  left: string[];
  error?: OperationalError;
}
