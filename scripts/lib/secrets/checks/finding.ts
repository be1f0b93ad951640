/** One thing that verify has found: names of variables and files, never a value. */
export interface Finding {
  check: 'missing' | 'placeholder' | 'weak' | 'same' | 'mode' | 'git' | 'docker';
  /** `unknown`: it could not be looked at. Only a fault fails the run. */
  status: 'fault' | 'warning' | 'unknown';
  message: string;
  hint: string;
}
