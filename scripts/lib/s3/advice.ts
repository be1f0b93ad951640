/** What to do about a request that failed, by the store's error code, the HTTP status or the error of the connection. */
import type { S3ServiceException } from '@aws-sdk/client-s3';
import type { S3Settings } from '../config/config.ts';

const KEYS = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
const SIGNED = `${KEYS}: both must be of one key`;
const TEMPORARY =
  'the temporary keys are no longer valid: set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. A ' +
  'schedule needs keys that do not expire.';
const TLS =
  'the certificate of S3_ENDPOINT is not trusted: correct it, set NODE_EXTRA_CA_CERTS, or S3_FORCE_PATH_STYLE=true for a ' +
  'bucket with a dot in its name.';
const NETWORK = 'check S3_ENDPOINT, and the network, firewall and proxy of this machine.';
const LATER = 'the store has trouble: try again later.';

type Advice = string | ((failure: Failure) => string);

interface Failure {
  /** What the request was for, as in `could not <verb> s3://…`. */
  verb: string;
  settings: S3Settings;
  /** The bucket's region, where the store names it. */
  region?: string;
}

/** The right that a request needs. */
const RIGHTS: Record<string, string> = {
  'write to': 's3:PutObject',
  'upload to': 's3:PutObject and s3:AbortMultipartUpload',
  'look at': 's3:GetObject and s3:ListBucket',
  read: 's3:GetObject',
  download: 's3:GetObject',
  list: 's3:ListBucket',
  delete: 's3:DeleteObject',
  'list unfinished uploads of': 's3:ListBucketMultipartUploads',
  'abort the upload of': 's3:AbortMultipartUpload',
  'list versions of': 's3:ListBucketVersions',
  'remove the delete marker of': 's3:DeleteObjectVersion',
};

const denied: Advice = ({ verb }) =>
  `the key of AWS_ACCESS_KEY_ID needs ${RIGHTS[verb] ?? 'the right'} on S3_BUCKET below S3_PREFIX; rules of the bucket ` +
  'and of the KMS key must allow it too.';

const wrongRegion: Advice = ({ region, settings }) =>
  region && region !== settings.region
    ? `set AWS_REGION=${region}: the bucket is there, not in ${settings.region}.`
    : `the bucket is not in AWS_REGION=${settings.region}${settings.endpoint ? ', or not at S3_ENDPOINT' : ''}: look up its region.`;

/** For a request with a property that the store refuses. */
const asMade: Advice = ({ settings: { storageClass, region, checksums, sse } }) =>
  `the store refuses a property of the request. Set are S3_STORAGE_CLASS=${storageClass}, S3_CHECKSUMS=${checksums}, ` +
  `S3_SSE=${sse ?? ''}, AWS_REGION=${region}: many stores know only STANDARD, some need S3_CHECKSUMS=required, and a ` +
  'bucket with Object Lock needs S3_CHECKSUMS=supported.';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const ADVICE: Record<string, Advice> = {
  AccessDenied: denied,
  AllAccessDisabled: 'the store has closed this account or bucket: ask its provider.',
  AuthorizationHeaderMalformed: wrongRegion,
  BadDigest:
    'the data changed on its way: try again; if it fails again, check this machine’s memory and network.',
  ExpiredToken: TEMPORARY,
  ExpiredTokenException: TEMPORARY,
  IllegalLocationConstraintException: wrongRegion,
  InvalidAccessKeyId: ({ settings }) =>
    settings.accessKeyId.startsWith('ASIA') && !settings.sessionToken
      ? 'this is a temporary key: set AWS_SESSION_TOKEN too.'
      : 'the store does not know AWS_ACCESS_KEY_ID: check it, and that it is a key of the store at S3_ENDPOINT.',
  InvalidArgument: asMade,
  InvalidObjectState:
    'the object is archived: restore it from its storage class first, in the store’s console.',
  InvalidRequest: asMade,
  InvalidStorageClass: ({ settings }) =>
    `the store does not know S3_STORAGE_CLASS=${settings.storageClass}: set STANDARD, which all stores know.`,
  InvalidToken: ({ settings }) =>
    settings.sessionToken
      ? 'check AWS_SESSION_TOKEN: it must be of the same key as AWS_ACCESS_KEY_ID.'
      : `check ${SIGNED}.`,
  NoSuchBucket: 'check S3_BUCKET, AWS_REGION and S3_ENDPOINT; these scripts create no bucket.',
  NotImplemented: asMade,
  PermanentRedirect: wrongRegion,
  QuotaExceeded:
    'the store is full: raise its quota, or delete expired backups with ./scripts/prune-backups.ts.',
  RequestTimeTooSkewed: 'set the clock of this machine: `timedatectl` shows it.',
  SignatureDoesNotMatch: `check ${SIGNED}. A proxy that changes requests also causes this.`,
  SlowDown:
    'the store limits requests: try again later, and see whether another program uses much of this limit.',
  TooManyRequests: 'the store limits requests: try again later.',
  XAmzContentSHA256Mismatch: asMade,
};

/** Errors of the connection, by Node's code. */
const CONNECTION: Record<string, string> = {
  ENOTFOUND: 'there is no such host: check S3_ENDPOINT, AWS_REGION and the name server.',
  EAI_AGAIN: 'the name server does not answer: check it, then try again.',
  ECONNREFUSED: 'nothing listens there: check S3_ENDPOINT, and that the store runs.',
  EPROTO: 'the store does not speak TLS there: check http and https, and the port, in S3_ENDPOINT.',
  CERT_HAS_EXPIRED: TLS,
  DEPTH_ZERO_SELF_SIGNED_CERT: TLS,
  ERR_TLS_CERT_ALTNAME_INVALID: TLS,
  SELF_SIGNED_CERT_IN_CHAIN: TLS,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: TLS,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: TLS,
};

/** An answer to HEAD has no body, so no code: only the status. */
const BY_STATUS: Record<number, Advice> = {
  301: wrongRegion,
  307: wrongRegion,
  400: asMade,
  403: denied,
  429: LATER,
  501: asMade,
};

/**
 * @param error of the S3 client
 * @param verb what the request was for
 * @returns what to do; for an unknown error, that no advice is known
 */
export function adviceFor(error: unknown, verb: string, settings: S3Settings): string {
  const { name = '', $metadata, $response } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode;
  const { Region, code } = error as { Region?: string; code?: string };
  const region = Region ?? $response?.headers?.['x-amz-bucket-region'];
  // With a body or without one: a store that names another region is not asked in its own.
  const elsewhere = (status === 400 || status === 301) && region && region !== settings.region;
  const advice = elsewhere ? wrongRegion : (ADVICE[name] ?? (status && BY_STATUS[status]));
  if (advice) return typeof advice === 'string' ? advice : advice({ verb, settings, region });
  if (status && status >= 500) return LATER;
  const connection =
    CONNECTION[code ?? ''] ?? CONNECTION[(error as Error & { cause?: { code?: string } }).cause?.code ?? ''];
  if (connection) return connection;
  if (status && status < 300) return 'this is not an answer of S3: check S3_ENDPOINT.';
  if (status) return 'no advice is known for this error: look the code up in the manual of the store.';
  return NETWORK;
}
