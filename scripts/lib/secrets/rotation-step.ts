/** What the rotations of each kind have in common. */
import { type Config, loadConfig } from '../config/config.ts';
import { percentEncoded } from '../core/format.ts';
import { replaceBackends, replaceBackupService } from './replace-backends.ts';
import type { Rotation } from './rotation-journal.ts';

/** A step of a rotation. It can be repeated: a run that goes on begins with the one that the journal names. */
export interface Step {
  name: string;
  /** @param config with the values that the files have when the step begins */
  run: (config: Config, rotation: Rotation) => Promise<void>;
}

/** How the secrets of one kind are replaced. */
export interface Procedure {
  /** What an operator should know before. */
  note: string;
  steps: Step[];
  /** Whether backends are replaced. */
  backends: boolean;
  /** @throws OperationalError where a step would fail, before anything is changed */
  preflight: (config: Config) => Promise<void>;
}

/** Each backend is replaced by one with the variables that the files have now. */
export const roll = (name: string): Step => ({ name, run: replaceBackends });

/** The backup service has the passwords with which it was created. */
export const recreateBackupService: Step = { name: 'backup service', run: replaceBackupService };

/** @returns the configuration as the files are now */
export const reread = ({ environment }: Config): Config => loadConfig(environment);

/** @returns user and password of a URL; empty where it has none, or is none */
export function loginOf(url = ''): { user: string; password: string } {
  if (!URL.canParse(url)) return { user: '', password: '' };
  const { username, password } = new URL(url);
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) };
}

/** @returns the URL with another user and password, and each other byte as it was */
export const withLogin = (url: string, user: string, password: string): string =>
  url.replace(
    /^([a-z][a-z\d+.-]*:\/\/)(?:[^/?#@]*@)?/i,
    (_, scheme: string) => `${scheme}${percentEncoded(user)}:${percentEncoded(password)}@`,
  );
