/** Objects that a delete marker hides: a deletion in a bucket that keeps versions adds one, and removes nothing. */
import { locate, type Store } from './open-store.ts';
import { ABORTABLE, request } from './requests.ts';

/** An object of which the newest version is still stored, whether a marker hides it or not. */
export interface KeptObject {
  name: string;
  /** Of the newest version. */
  bytes: number;
  /** The versions of the delete markers above it, newest first; none: it is not hidden. */
  markers: string[];
  /** When the newest marker was written; undefined: it is not hidden. */
  hiddenAt: Date | undefined;
}

interface Version {
  version: string;
  at: Date;
  bytes: number;
}

/**
 * @returns the objects whose name starts with `start`. One of which only delete markers are left is none
 * @throws exit code 4
 */
export async function keptObjects(store: Store, start: string): Promise<KeptObject[]> {
  const { Bucket, Key: Prefix } = locate(store, start);
  const versions = new Map<string, Version>();
  const markers = new Map<string, Version[]>();
  let from: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
  for (;;) {
    const page = await request(store, 'list versions of', start, () =>
      store.client.listObjectVersions({ Bucket, Prefix, ...from }, ABORTABLE),
    );
    const nameOf = (key: string) => key.slice(Prefix.length - start.length);
    const each = ({ VersionId = 'null', LastModified }: { VersionId?: string; LastModified?: Date }) => ({
      version: VersionId,
      at: LastModified ?? new Date(0),
    });
    for (const found of page.Versions ?? []) {
      const name = nameOf(found.Key!);
      const version = { ...each(found), bytes: found.Size ?? 0 };
      if (version.at >= (versions.get(name)?.at ?? new Date(0))) versions.set(name, version);
    }
    for (const found of page.DeleteMarkers ?? [])
      markers.set(nameOf(found.Key!), [
        ...(markers.get(nameOf(found.Key!)) ?? []),
        { ...each(found), bytes: 0 },
      ]);
    if (!page.IsTruncated) break;
    from = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
  return [...versions].map(([name, { at, bytes }]) => {
    // Times are whole seconds in some stores: a marker of the same second may be above it.
    const above = (markers.get(name) ?? []).filter(marker => marker.at >= at);
    above.sort((a, b) => b.at.getTime() - a.at.getTime());
    return { name, bytes, markers: above.map(({ version }) => version), hiddenAt: above[0]?.at };
  });
}

/** Removes one delete marker; the version below it is the object again. @throws exit code 4 */
export async function removeMarker(store: Store, name: string, marker: string): Promise<void> {
  await request(store, 'remove the delete marker of', name, () =>
    store.client.deleteObject({ ...locate(store, name), VersionId: marker }, ABORTABLE),
  );
}
