import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline as pipe } from 'node:stream/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3';
import type { S3Settings } from './config.ts';
import { Exit, messageOf, OperationalError, verificationError } from './errors.ts';
import { sizeOf } from './files.ts';
import { interrupt, sleep } from './interrupt.ts';
import { partSize, uploadParts } from './multipart.ts';
import { bytes } from './text.ts';

/** Tries of one request, 0.1 to 20 s apart, doubling: rides out half a minute of a store's bad weather. */
const ATTEMPTS = 8;
const SECONDS_WITHOUT_AN_ANSWER = 60;
export interface StoredObject {
  key: string;
  bytes: number;
}

/** One prefix of one bucket. Names are relative to the prefix. */
export class Store {
  readonly settings: S3Settings;
  readonly #client: S3Client;

  constructor(settings: S3Settings) {
    this.settings = settings;
    const checksum = settings.checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
    this.#client = new S3Client({
      region: settings.region,
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      endpoint: settings.endpoint,
      forcePathStyle: settings.pathStyle,
      requestChecksumCalculation: checksum,
      responseChecksumValidation: checksum,
      maxAttempts: ATTEMPTS,
      requestHandler: {
        connectionTimeout: 5000,
        socketTimeout: SECONDS_WITHOUT_AN_ANSWER * 1000,
      },
    });
  }

  key(name: string): string {
    return this.settings.prefix ? `${this.settings.prefix}/${name}` : name;
  }

  /** @returns the address as people write it: `s3://bucket/prefix/name` */
  url(name: string): string {
    return `s3://${this.settings.bucket}/${this.key(name)}`;
  }

  /** Tries whether objects can be written, with one small object of a fixed name. */
  async probe(): Promise<void> {
    const Key = this.key('.write-probe');
    await this.#do('write to', '.write-probe', () =>
      this.#client.send(
        new PutObjectCommand({ ...this.#bucket, Key, Body: 'a write probe; it may be deleted\n' }),
        ABORTABLE,
      ),
    );
    // A key that may write but not delete is good practice; it only means that retention is the store's.
    await this.#client.send(new DeleteObjectCommand({ ...this.#bucket, Key }), ABORTABLE).catch(() => {});
  }

  /**
   * Uploads a finished file and compares what the store then says of it.
   * @param progress called with the bytes sent so far
   */
  async upload(
    path: string,
    name: string,
    metadata: Record<string, string>,
    progress: (sent: number) => void = () => {},
  ): Promise<void> {
    const size = (await sizeOf(path)) ?? 0;
    const object = {
      ...this.#bucket,
      Key: this.key(name),
      Metadata: metadata,
      StorageClass: this.settings.storageClass as 'STANDARD_IA',
      ServerSideEncryption: this.settings.sse,
      SSEKMSKeyId: this.settings.kmsKeyId,
    };
    await this.#do('upload to', name, async () => {
      if (size > partSize(size)) {
        await uploadParts(this.#client, object, path, size, { signal: interrupt, progress });
      } else {
        await this.#client.send(new PutObjectCommand({ ...object, Body: await readFile(path) }), ABORTABLE);
        progress(size);
      }
    });
    const head = await this.head(name);
    if (head?.ContentLength !== size || head.Metadata?.sha256 !== metadata.sha256) {
      throw new OperationalError(
        `${this.url(name)} is not what was uploaded: ${head ? `${head.ContentLength} bytes, not ${size}` : 'it is not there'}`,
        'run it again; if it stays so, the store changes or drops objects.',
        Exit.offsite,
      );
    }
  }

  /** @returns what the store says of an object, or undefined if there is none */
  async head(name: string): Promise<HeadObjectCommandOutput | undefined> {
    return this.#do('look at', name, async () => {
      try {
        return await this.#client.send(
          new HeadObjectCommand({ ...this.#bucket, Key: this.key(name) }),
          ABORTABLE,
        );
      } catch (error) {
        if ((error as S3ServiceException).$metadata?.httpStatusCode === 404) return undefined;
        throw error;
      }
    });
  }

  /** @returns a small object's text */
  async text(name: string): Promise<string> {
    return this.#do('read', name, async () => {
      const { Body } = await this.#client.send(
        new GetObjectCommand({ ...this.#bucket, Key: this.key(name) }),
        ABORTABLE,
      );
      return Body!.transformToString();
    });
  }

  /**
   * Downloads an object into a new file; a connection that breaks is taken up where it broke.
   * @param progress called with the bytes received so far
   */
  async download(name: string, path: string, progress: (received: number) => void = () => {}): Promise<void> {
    const total = (await this.head(name))?.ContentLength;
    if (total === undefined)
      throw verificationError(`${this.url(name)} is missing`, 'list-backups.ts shows what is there.');
    let received = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#do('download', name, async () => {
          const range = received > 0 ? { Range: `bytes=${received}-` } : {};
          const request = new GetObjectCommand({ ...this.#bucket, Key: this.key(name), ...range });
          const { Body } = await this.#client.send(request, ABORTABLE);
          const counted = async function* (source: AsyncIterable<Buffer>) {
            for await (const chunk of source) {
              yield chunk;
              received += chunk.length;
              progress(received);
            }
          };
          const file = createWriteStream(path, {
            flags: received > 0 ? 'r+' : 'w',
            start: received,
            mode: 0o600,
          });
          await pipe(Body as AsyncIterable<Buffer>, counted, file, { signal: interrupt });
          if (received < total)
            throw new Error(`the connection ended after ${bytes(received)} of ${bytes(total)}`);
        });
        return;
      } catch (error) {
        const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
        const hopeless =
          interrupt.aborted ||
          cause?.code === 'ENOSPC' ||
          (cause as S3ServiceException | undefined)?.$fault === 'client';
        if (hopeless || attempt === ATTEMPTS) throw error;
        await sleep(0.1 * 2 ** (attempt - 1));
      }
    }
  }

  /** @returns all objects whose name starts with `start` */
  async list(start: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await this.#do('list', start, () =>
        this.#client.send(
          new ListObjectsV2Command({ ...this.#bucket, Prefix: this.key(start), ContinuationToken }),
          ABORTABLE,
        ),
      );
      for (const { Key, Size } of page.Contents ?? []) {
        found.push({ key: Key!.slice(this.key('').length), bytes: Size ?? 0 });
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken);
    return found;
  }

  /** Deletes an object; one that is not there counts as deleted. */
  async remove(name: string): Promise<void> {
    await this.#do('delete', name, () =>
      this.#client.send(new DeleteObjectCommand({ ...this.#bucket, Key: this.key(name) }), ABORTABLE),
    );
  }

  get #bucket() {
    return { Bucket: this.settings.bucket };
  }

  /** Wraps what the SDK throws into what it was for and what to do. */
  async #do<T>(verb: string, name: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      interrupt.throwIfAborted();
      if (error instanceof OperationalError) throw error;
      throw new OperationalError(
        `could not ${verb} ${this.url(name)}: ${explain(error)}`,
        advice(error),
        Exit.offsite,
        {
          cause: error,
        },
      );
    }
  }
}

const ABORTABLE = { abortSignal: interrupt };

function explain(error: unknown): string {
  const { name, $metadata } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode ? ` (HTTP ${$metadata.httpStatusCode})` : '';
  const message = messageOf(error);
  return message === name || !name || name === 'Error' ? message + status : `${name}: ${message}${status}`;
}

function advice(error: unknown): string {
  const { name, $metadata } = error as Partial<S3ServiceException>;
  if (name === 'RequestTimeTooSkewed') return 'correct this machine’s clock: `timedatectl` shows it.';
  if (name === 'NoSuchBucket') return 'check S3_BUCKET and AWS_REGION; the bucket is never made here.';
  if ($metadata?.httpStatusCode === 403)
    return 'check AWS_ACCESS_KEY_ID, its secret, and what the key may do.';
  if ($metadata?.httpStatusCode && $metadata.httpStatusCode >= 500)
    return 'the store is ill: try again later.';
  return 'check S3_ENDPOINT, S3_BUCKET and the network.';
}
