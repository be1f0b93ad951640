/** Uploads in several parts: their checksums, and their faults. */
import * as assert from 'uvu/assert';
import { plant, store } from '../backup/old-backups.ts';
import { checkHere } from '../core/in-process.ts';
import { answers, cutsRequest, type Fault, type Seen } from './fault-proxy.ts';
import { isData, type S3World } from './s3-world.ts';
import { unfinishedUploads } from './store.ts';

/** After each of them nothing of the upload may be left in the store. */
export const PART_FAULTS = {
  'the second part is always cut': (seen: Seen) =>
    seen.query.get('partNumber') === '2' ? cutsRequest(1_000_000) : undefined,
  'it can’t be completed': (seen: Seen) =>
    seen.method === 'POST' && seen.query.has('uploadId') ? answers(500, 'InternalError') : undefined,
} satisfies Record<string, (seen: Seen) => Fault | undefined>;

/** A backup goes up and down again, some files in one part and some in several, with S3_CHECKSUMS like this. */
export async function assertChecksums(
  { world, proxy, fresh }: S3World,
  big: Record<string, string>,
  id: string,
  mode: 'supported' | 'required',
): Promise<void> {
  const env = fresh({ POSTGRES_DB: 'big', S3_CHECKSUMS: mode });
  const manifest = await plant(big.BACKUP_DIR!, id, {}, env.BACKUP_DIR);
  await store(world, env, manifest);
  assert.is(await checkHere(world, 'latest', env, 's3'), id);
  // Roles and the manifest are small; the rest is not.
  assert.ok(proxy.seen.some(seen => isData(seen) && !seen.query.has('partNumber')));
  const summed = ({ headers }: Seen) =>
    Object.keys(headers).some(name => /^x-amz-(sdk-checksum|checksum|trailer)/.test(name));
  assert.ok(proxy.seen.some(({ query }) => query.get('partNumber') === '2'));
  // Else the store does not expect the checksums of the parts: "expected checksum Type: null".
  const begun = proxy.seen.find(({ query }) => query.has('uploads'))!;
  assert.is(begun.headers['x-amz-checksum-algorithm'], mode === 'supported' ? 'CRC32' : undefined);
  assert.is(proxy.seen.filter(isData).every(summed), mode === 'supported');
  assert.is(proxy.seen.filter(isData).some(summed), mode === 'supported');
  assert.is(unfinishedUploads(world), 0);
}
