/** Faults of an upload in several parts after which nothing of it may be left in the store. */
import { answers, cutsRequest, type Fault, type Seen } from './fault-proxy.ts';

export const PART_FAULTS: Record<string, (seen: Seen) => Fault | undefined> = {
  'the second part is always cut': seen =>
    seen.query.get('partNumber') === '2' ? cutsRequest(1_000_000) : undefined,
  'it can’t be completed': seen =>
    seen.method === 'POST' && seen.query.has('uploadId') ? answers(500, 'InternalError') : undefined,
};
