import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
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
import type { S3Settings } from '../config/config.ts';
import { Exit, messageOf, OperationalError, operational, verificationError } from '../core/errors.ts';
import { sizeOf } from '../core/files.ts';
import { bytes, duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt, sleep } from '../core/signals.ts';
import { cleaningUp, partSize, uploadParts } from './multipart.ts';

/** Tries of one request, 0.1 to 20 s apart, doubling: rides out half a minute of a store's bad weather. */
const ATTEMPTS = 8;
/** The probe before a backup only warns: it must not hold the backup up for as long as an upload may try. */
const PROBE_SECONDS = 30;
/** Seconds; stores refuse more than 900. */
const CLOCK_TOLERANCE = 300;

export interface StoredObject {
  key: string;
  bytes: number;
}

/** One prefix of one bucket. Names are relative to the prefix. */
export class Store {
  readonly settings: S3Settings;
  readonly #client: S3Client;
  readonly #attempts: number;

  /** @param attempts of one request; fewer for whoever would rather know soon than get through */
  constructor(settings: S3Settings, attempts = ATTEMPTS) {
    this.settings = settings;
    this.#attempts = attempts;
    const checksum = settings.checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
    this.#client = new S3Client({
      region: settings.region,
      credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
      endpoint: settings.endpoint,
      forcePathStyle: settings.pathStyle,
      requestChecksumCalculation: checksum,
      responseChecksumValidation: checksum,
      maxAttempts: attempts,
      requestHandler: {
        connectionTimeout: 5000,
        socketTimeout: settings.timeout * 1000,
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
    const limit = { abortSignal: AbortSignal.any([interrupt, AbortSignal.timeout(PROBE_SECONDS * 1000)]) };
    await this.#do('write to', '.write-probe', () =>
      this.#client.send(
        new PutObjectCommand({ ...this.#bucket, Key, Body: 'a write probe; it may be deleted\n' }),
        limit,
      ),
    );
    const seconds = this.#client.config.systemClockOffset / 1000; // the client signs with the store's time
    if (Math.abs(seconds) > CLOCK_TOLERANCE) {
      const off = `${duration(Math.abs(seconds))} ${seconds > 0 ? 'behind' : 'ahead of'}`;
      log.warn(`this machine’s clock is ${off} the store’s: correct it, \`timedatectl\` shows it`);
    }
    // A key that may write but not delete is good practice; it only means that retention is the store's.
    await this.#client.send(new DeleteObjectCommand({ ...this.#bucket, Key }), limit).catch(() => {});
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
    const wrong = !head
      ? 'it is not there'
      : head.ContentLength !== size
        ? `it has ${head.ContentLength} bytes, not ${size}`
        : head.Metadata?.sha256 !== metadata.sha256
          ? 'the SHA-256 in its metadata is not that of the file'
          : undefined;
    if (!wrong) return;
    throw new OperationalError(
      `${this.url(name)} is not what was uploaded: ${wrong}`,
      'run it again; if it stays so, the store changes or drops objects.',
      Exit.offsite,
    );
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

  /** @returns a small object's text, or undefined if there is none */
  async text(name: string): Promise<string | undefined> {
    return this.#persist('read', name, async () => {
      const request = new GetObjectCommand({ ...this.#bucket, Key: this.key(name) });
      try {
        const { Body } = await this.#client.send(request, ABORTABLE);
        return await Body!.transformToString();
      } catch (error) {
        if ((error as S3ServiceException).name === 'NoSuchKey') return undefined;
        throw error;
      }
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
    await writeFile(path, '', { mode: 0o600 });
    let written = 0; // not what was received: what a broken stream still had in memory is lost
    const fetchRest = async () => {
      if (written > 0 && written === total) return; // all is there; whether it is right, its checksum shows
      const start = written;
      const Range = start > 0 ? `bytes=${start}-` : undefined;
      const request = new GetObjectCommand({ ...this.#bucket, Key: this.key(name), Range });
      const { Body } = await this.#client.send(request, ABORTABLE);
      const file = createWriteStream(path, { flags: 'r+', start });
      const counted = async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          yield chunk;
          progress(start + file.bytesWritten);
        }
      };
      try {
        await pipe(Body as AsyncIterable<Buffer>, counted, file, { signal: interrupt });
      } finally {
        written = start + file.bytesWritten;
      }
      progress(written);
      if (written < total) throw new Error(`the connection ended after ${bytes(written)} of ${bytes(total)}`);
    };
    await this.#persist('download', name, fetchRest, () => written);
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
  async remove(name: string, { evenInterrupted = false } = {}): Promise<void> {
    const limit = evenInterrupted ? cleaningUp() : ABORTABLE;
    await this.#do('delete', name, () =>
      this.#client.send(new DeleteObjectCommand({ ...this.#bucket, Key: this.key(name) }), limit),
    );
  }

  get #bucket() {
    return { Bucket: this.settings.bucket };
  }

  /**
   * Like #do, again and again: the client sends a request again, but not when an answer's body breaks off.
   * @param done what grows as long as it is worth going on
   */
  async #persist<T>(
    verb: string,
    name: string,
    action: () => Promise<T>,
    done: () => number = () => 0,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const before = done();
      try {
        return await this.#do(verb, name, action);
      } catch (error) {
        const cause = (error as Error).cause as Partial<S3ServiceException & NodeJS.ErrnoException>;
        const hopeless =
          cause?.$metadata !== undefined || (error as OperationalError).exitCode !== Exit.offsite;
        if (done() > before) attempt = 1;
        if (interrupt.aborted || hopeless || attempt === this.#attempts) throw error;
        await sleep(0.1 * 2 ** (attempt - 1));
      }
    }
  }

  /** Wraps what the SDK throws into what it was for and what to do. */
  async #do<T>(verb: string, name: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      interrupt.throwIfAborted();
      const here = operational(error);
      if (here instanceof OperationalError) throw here;
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
  if (name === 'AbortError') return 'no answer in time';
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
