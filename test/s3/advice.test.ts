import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { S3Settings } from '../../scripts/lib/config/config.ts';
import { adviceFor } from '../../scripts/lib/s3/advice.ts';

const settings = {
  region: 'us-east-1',
  storageClass: 'STANDARD_IA',
  checksums: 'supported',
  accessKeyId: 'AKIA1',
} as S3Settings;

/** An error of the client. */
const answer = (httpStatusCode: number, name: string, more: object = {}) =>
  Object.assign(new Error('no'), { name, $metadata: { httpStatusCode }, ...more });
const advise = (error: unknown, verb = 'upload to', own: Partial<S3Settings> = {}) =>
  adviceFor(error, verb, { ...settings, ...own });

test('the error code chooses the advice, whatever the request', () => {
  const cases: [status: number, code: string, says: RegExp][] = [
    [400, 'ExpiredToken', /AWS_SESSION_TOKEN/],
    [403, 'InvalidAccessKeyId', /does not know AWS_ACCESS_KEY_ID/],
    [403, 'SignatureDoesNotMatch', /AWS_SECRET_ACCESS_KEY/],
    [404, 'NoSuchBucket', /S3_BUCKET/],
    [403, 'RequestTimeTooSkewed', /timedatectl/],
    [503, 'SlowDown', /limits requests/],
    [400, 'InvalidStorageClass', /S3_STORAGE_CLASS=STANDARD_IA.*STANDARD/],
    [400, 'InvalidRequest', /STANDARD_IA.*S3_CHECKSUMS=supported.*AWS_REGION=us-east-1.*Object Lock/],
    [501, 'NotImplemented', /S3_CHECKSUMS/],
    [403, 'InvalidObjectState', /archived/],
    [500, 'InternalError', /try again later/],
    [418, 'Teapot', /no advice is known/],
    [200, 'SyntaxError', /not an answer of S3/],
  ];
  for (const verb of ['upload to', 'list', 'look at'])
    for (const [status, code, says] of cases) assert.match(advise(answer(status, code), verb), says);
});

test('a wrong region: the right one is named, from the answer or its header', () => {
  const named = [
    answer(400, 'AuthorizationHeaderMalformed', { Region: 'eu-west-3' }),
    answer(301, 'PermanentRedirect', { $response: { headers: { 'x-amz-bucket-region': 'eu-west-3' } } }),
    answer(301, '301', { $response: { headers: { 'x-amz-bucket-region': 'eu-west-3' } } }),
    answer(400, 'BadRequest', { $response: { headers: { 'x-amz-bucket-region': 'eu-west-3' } } }),
  ];
  for (const error of named) assert.match(advise(error), /^set AWS_REGION=eu-west-3/);
  assert.match(advise(answer(301, 'PermanentRedirect')), /not in AWS_REGION=us-east-1/);
});

test('a denied request: the right that it needs is named, also where the answer has no body', () => {
  const rights = {
    'upload to': /s3:PutObject/,
    'look at': /s3:GetObject and s3:ListBucket/,
    delete: /s3:DeleteObject/,
  };
  for (const [verb, right] of Object.entries(rights))
    for (const name of ['AccessDenied', 'Forbidden', '403'])
      assert.match(advise(answer(403, name), verb), right);
});

test('temporary keys: without their token it is asked for, with one it is checked', () => {
  const asia = { accessKeyId: 'ASIA1' };
  assert.match(advise(answer(403, 'InvalidAccessKeyId'), 'list', asia), /set AWS_SESSION_TOKEN too/);
  assert.match(advise(answer(400, 'InvalidToken'), 'list', { ...asia, sessionToken: 'x' }), /same key/);
});

test('a connection that fails', () => {
  const failed = (code: string) => Object.assign(new Error('no'), { code });
  assert.match(advise(failed('ENOTFOUND')), /AWS_REGION/);
  assert.match(advise(failed('ECONNREFUSED')), /S3_ENDPOINT/);
  assert.match(advise(failed('CERT_HAS_EXPIRED')), /certificate/);
  assert.match(advise(Object.assign(new Error('no'), { cause: failed('EPROTO') })), /TLS/);
  assert.match(advise(failed('ECONNRESET')), /network/);
});

test.run();
