import type { Status } from '../../health/check.ts';

/** One line on what a new installation needs. None of them is a reason not to write the files. */
export interface SetupCheck {
  name: 'dns' | 'ports' | 'docker' | 'disk' | 'memory' | 'processors' | 'configuration';
  status: Extract<Status, 'ok' | 'warning' | 'unknown'>;
  /** One sentence. */
  message: string;
  /** What to do; none where it is ok. */
  hint?: string;
}
