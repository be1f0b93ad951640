/** Hooks for runs of backup.ts and restore.ts. */
import { existsSync, readdirSync } from 'node:fs';
import { type HookPlace, hookPlace } from './hooks.ts';

/** Each with its own directories, so that no backup of another test is there. */
export function fresh(): { place: HookPlace; env: Record<string, string>; backups: () => string[] } {
  const place = hookPlace();
  const env = {
    HOOKS_DIR: place.directory,
    BACKUP_DIR: place.path('backups'),
    LOG_DIR: place.path('logs'),
    STATE_DIR: place.path('state'),
    S3_BUCKET: '',
  };
  const backups = () =>
    existsSync(env.BACKUP_DIR) ? readdirSync(env.BACKUP_DIR).filter(name => name.endsWith('.json')) : [];
  return { place, env, backups };
}
