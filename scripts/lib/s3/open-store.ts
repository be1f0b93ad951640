import type { S3Settings } from '../config/config.ts';
import type { Store } from './store.ts';

/** Opens the store. Loading the S3 client takes a while, so a script that needs no store does not load it. */
export async function openStore(settings: S3Settings, attempts?: number): Promise<Store> {
  const { Store } = await import('./store.ts');
  return new Store(settings, attempts);
}
