/** What a dry run says about the off-site copy: a look at the store, which writes nothing. */
import type { S3Settings } from '../config/config.ts';
import { Exit, type ExitCode, OperationalError, textOf } from '../core/errors.ts';
import { LOOK_RETRY_SECONDS, lacking, lookAtStore, mayWrite, type StoreFacts } from '../s3/look.ts';
import { openStore } from '../s3/open-store.ts';

/** Of a backup that would be copied there. */
interface OffsiteLook {
  lines: string[];
  facts?: StoreFacts;
  exitCode: ExitCode;
}

/** @returns what a copy needs and lacks; with exit code 4 if there can be none */
export async function lookOffsite(settings: S3Settings): Promise<OffsiteLook> {
  const { storageClass, sse, checksums } = settings;
  const store = await openStore(settings, Math.min(settings.retryTime, LOOK_RETRY_SECONDS));
  try {
    const facts = await lookAtStore(store);
    const [mayBe, rights] = [await mayWrite(store), facts.rights];
    const all = { ...facts, rights: { ...rights, write: mayBe } };
    const bucket = [facts.versioned && 'keeps versions', facts.locked && 'has Object Lock'].filter(Boolean);
    return {
      lines: [
        ...(bucket.length > 0 ? [`the bucket ${bucket.join(' and ')}`] : []),
        ...lacking(all),
        `S3_STORAGE_CLASS=${storageClass}, S3_SSE=${sse ?? ''}, S3_CHECKSUMS=${checksums}, the right to delete` +
          `${mayBe === undefined ? ', and to write' : ''}: tried by the write probe of a backup`,
      ],
      facts: all,
      exitCode: mayBe === false ? Exit.offsite : Exit.done,
    };
  } catch (error) {
    if (!(error instanceof OperationalError) || error.exitCode !== Exit.offsite) throw error;
    return { lines: [textOf(error)], exitCode: Exit.offsite };
  }
}
