/** One small object, written as a backup will be, and deleted: what the store refuses is known before the dump. */
import type { PutObjectCommandInput, S3ServiceException } from '@aws-sdk/client-s3';
import { Exit, OperationalError } from '../core/errors.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { briefly, type StoreFacts } from './look.ts';
import { locate, propertiesOf, type Store, urlOf } from './open-store.ts';
import { judge } from './receipt.ts';
import { isDenied, request } from './requests.ts';

/**
 * Seconds. Stores refuse requests whose time is off by more than 900:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
 */
const CLOCK_TOLERANCE = 300;

const NAME = '.write-probe';
const BODY = Buffer.from('a write probe; it may be deleted\n');

/** Nothing shows whether a copy is right, so there must be none. */
export class Unverifiable extends OperationalError {}

/**
 * Writes one small object of a fixed name with the properties of a backup, looks at it, and deletes it; in a bucket with
 * versions, that version. Warns when this machine's clock is off. A bucket that takes it only with a checksum, as one with
 * Object Lock does, gets one with each object from now on.
 *
 * @returns which rights this shows
 * @throws exit code 4 when it can't be written; {@link Unverifiable}
 */
export async function probeStore(store: Store): Promise<StoreFacts['rights']> {
  const { client } = store;
  const object = locate(store, NAME);
  const put = (changes: Partial<PutObjectCommandInput> = {}) =>
    client.putObject({ ...object, ...propertiesOf(store), Body: BODY, ...changes }, briefly());
  const receipt = await request(store, 'write to', NAME, () => put()).catch(async error => {
    if (!isRefusedAsMade(error)) throw error;
    if (store.checksum === undefined) {
      const taken = await put({ ChecksumAlgorithm: 'CRC32' }).catch(() => undefined);
      if (taken) store.checksum = 'CRC32';
      if (taken) return taken;
    }
    throw (await culprit(store, put, error)) ?? error;
  });
  const seconds = client.config.systemClockOffset / 1000; // the client signs with the store's time
  if (Math.abs(seconds) > CLOCK_TOLERANCE) {
    const off = `${duration(Math.abs(seconds))} ${seconds > 0 ? 'behind' : 'ahead of'}`;
    log.warn(`this machine’s clock is ${off} the store’s: set it, \`timedatectl\` shows it`);
  }
  const read = await mayDo(() => request(store, 'look at', NAME, () => client.headObject(object, briefly())));
  // A key without permission to delete is good practice: retention is then done by the store. Without the version's id,
  // a deletion would add a marker to a bucket with versions.
  const { VersionId } = receipt;
  const deleted = await mayDo(() =>
    request(store, 'delete', NAME, () => client.deleteObject({ ...object, VersionId }, briefly())),
  );
  if (read === false && judge(receipt, BODY) !== 'same')
    throw new Unverifiable(
      `nothing shows whether a copy in ${urlOf(store, '')} is right: the key may not look at it, and the store answers ` +
        'an upload without a checksum',
      'give the key of AWS_ACCESS_KEY_ID the right s3:GetObject below S3_PREFIX, or set S3_CHECKSUMS=supported.',
      Exit.offsite,
    );
  return { write: true, read, delete: VersionId ? undefined : deleted };
}

/** @returns whether the key has the right; undefined: it can't be told */
async function mayDo(action: () => Promise<unknown>): Promise<boolean | undefined> {
  try {
    await action();
    return true;
  } catch (error) {
    if (!(error instanceof OperationalError) || error.exitCode !== Exit.offsite) throw error;
    return isDenied(error) ? false : undefined;
  }
}

/** @returns whether the store understands the request, and does not take an object with these properties */
function isRefusedAsMade({ cause }: OperationalError): boolean {
  const status = (cause as Partial<S3ServiceException> | undefined)?.$metadata?.httpStatusCode;
  return status === 400 || status === 501;
}

/** @returns for an object that is refused: the variable whose change makes the store accept it */
async function culprit(
  store: Store,
  put: (changes: Partial<PutObjectCommandInput>) => Promise<{ VersionId?: string }>,
  error: OperationalError,
): Promise<OperationalError | undefined> {
  const { settings } = store;
  const others: [is: string, set: string, differs: boolean, changes: Partial<PutObjectCommandInput>][] = [
    [
      `S3_STORAGE_CLASS=${settings.storageClass}`,
      'S3_STORAGE_CLASS=STANDARD',
      settings.storageClass !== 'STANDARD',
      { StorageClass: 'STANDARD' },
    ],
    [
      `S3_SSE=${settings.sse}`,
      'S3_SSE= (empty): then the bucket’s own encryption is used',
      settings.sse !== undefined,
      { ServerSideEncryption: undefined, SSEKMSKeyId: undefined },
    ],
  ];
  for (const [is, set, differs, changes] of others) {
    if (!differs) continue;
    const taken = await put(changes).catch(() => undefined);
    if (!taken) continue;
    const { VersionId } = taken;
    await store.client.deleteObject({ ...locate(store, NAME), VersionId }, briefly()).catch(() => {});
    return new OperationalError(
      `${urlOf(store, '')} does not take ${is}: ${error.message}`,
      `set ${set}.`,
      Exit.offsite,
    );
  }
  return undefined;
}
