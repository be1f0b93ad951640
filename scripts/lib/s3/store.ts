import { readFile } from 'node:fs/promises';
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
import { Exit, OperationalError, verificationError } from '../core/errors.ts';
import { sizeOf } from '../core/files.ts';
import { duration } from '../core/format.ts';
import { log } from '../core/log.ts';
import { interrupt } from '../core/signals.ts';
import { download } from './download.ts';
import { cleaningUp, partSize, uploadParts } from './multipart.ts';
import { ABORTABLE, attempt, persist } from './requests.ts';

/** Tries of one request, 0.1 to 20 s apart, doubling: a store may fail for half a minute. */
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

  /** @param attempts of one request; fewer where a quick answer matters more */
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
    await attempt('write to', this.url('.write-probe'), () =>
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
    await attempt('upload to', this.url(name), async () => {
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
    return attempt('look at', this.url(name), async () => {
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
    return persist(this.#attempts, 'read', this.url(name), async () => {
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
    await persist(
      this.#attempts,
      'download',
      this.url(name),
      ...(await download(this.#client, { ...this.#bucket, Key: this.key(name) }, path, total, progress)),
    );
  }

  /** @returns all objects whose name starts with `start` */
  async list(start: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await attempt('list', this.url(start), () =>
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
    await attempt('delete', this.url(name), () =>
      this.#client.send(new DeleteObjectCommand({ ...this.#bucket, Key: this.key(name) }), limit),
    );
  }

  get #bucket() {
    return { Bucket: this.settings.bucket };
  }
}
