import { utc } from '../core/format.ts';
import type { Store } from '../s3/open-store.ts';
import type { Format, Manifest } from './manifest.ts';

/** A backup that was found. Nothing of its artifact has been read yet. */
export interface Source {
  /** An id or a file name. */
  name: string;
  format: Format;
  /** Null: a dump that these scripts did not make. Its rows can't be compared. */
  manifest: Manifest | null;
  /** Why it is not trusted, as a sentence: whoever can write to its place could have made it. */
  foreign?: string;
  /** A store: it must be fetched first. */
  directory: string | Store;
  artifact: string;
}

/** @returns the name of a source, with the time of its data if that is known */
export function describeSource({ name, manifest }: Source): string {
  return manifest ? `${name} (data of ${utc(manifest.snapshotAt)})` : name;
}
