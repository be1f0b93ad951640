/** Trouble of the store with retention: what expired here is deleted whatever happens there, and each trouble is said. */
import * as assert from 'uvu/assert';
import { backUpHere } from '../core/here.ts';
import { answers, cutsRequest, type Fault, type Seen } from '../s3/fault-proxy.ts';
import { type createRetentionWorld, ids } from './retention.ts';

export const isDeletion = ({ method, key }: Seen) => method === 'DELETE' && !key.endsWith('.write-probe');

export const TROUBLES = {
  'it refuses to list': {
    fault: ({ query }: Seen) => (query.has('list-type') ? answers(403, 'AccessDenied') : undefined),
    code: 0,
    says: /retention \(s3\) did not finish: could not list s3:.*AccessDenied.*s3:ListBucket/,
  },
  'it can’t list': {
    fault: ({ query }: Seen) => (query.has('list-type') ? answers(500, 'InternalError') : undefined),
    code: 4,
    says: /retention \(s3\) did not finish: could not list s3:.*InternalError.*try again later/,
  },
  'it refuses to delete': {
    fault: (seen: Seen) => (isDeletion(seen) ? answers(403, 'AccessDenied') : undefined),
    code: 0,
    says: /retention \(s3\) did not finish: could not delete s3:.*AccessDenied.*s3:DeleteObject/,
  },
  'it can’t delete': {
    fault: (seen: Seen) => (isDeletion(seen) ? cutsRequest(0) : undefined),
    code: 4,
    says: /retention \(s3\) did not finish: could not delete s3:/,
  },
} satisfies Record<string, { fault: (seen: Seen) => Fault | undefined; code: number; says: RegExp }>;

/** A backup succeeds, and its retention has this trouble. */
export async function assertTrouble(
  { world, fresh, planted, proxy, kept }: Awaited<ReturnType<typeof createRetentionWorld>>,
  what: keyof typeof TROUBLES,
): Promise<void> {
  const { fault, code, says } = TROUBLES[what];
  const env = fresh({ BACKUP_MIN_KEEP: '1', S3_RETRY_TIME: '1s' });
  const all = await planted(env, [1, 2, 3, 400]);
  proxy.fault = fault;
  const done = await backUpHere(world, env);
  assert.is(done.code, code, done.stderr);
  assert.is(done.warnings.length, 1);
  assert.match(done.warnings[0]!, says);
  assert.equal(kept(env, all), { here: ids(all.slice(0, 3)), offsite: ids(all) });
}
