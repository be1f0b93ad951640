/** What is said about answers of a store: the S3 client reads them, so they come over HTTP. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../scripts/lib/config/config.ts';
import { openStore } from '../../scripts/lib/s3/open-store.ts';
import { deleteObject, head, listObjects, readText } from '../../scripts/lib/s3/store.ts';
import { refused } from '../support/core/in-process.ts';
import { answers, type Fault, startFaultProxy } from '../support/s3/fault-proxy.ts';

const proxy = await startFaultProxy('http://127.0.0.1:1', () => {});

/** @returns a store that sends each request once, which the proxy answers */
function open(env: Record<string, string> = {}) {
  const { s3 } = loadConfig('production', {
    S3_BUCKET: 'bucket',
    S3_ENDPOINT: proxy.endpoint,
    AWS_ACCESS_KEY_ID: 'AKIATEST',
    AWS_SECRET_ACCESS_KEY: 'secret-of-a-test',
    ...env,
  });
  return openStore(s3!, 0);
}

const REQUESTS = { list: listObjects, read: readText, 'look at': head, delete: deleteObject };

/** Asserts what each request says about an answer. */
async function says(fault: () => Fault, advice: RegExp, requests: (keyof typeof REQUESTS)[]): Promise<void> {
  proxy.fault = fault;
  const store = await open();
  for (const verb of requests)
    await refused(() => REQUESTS[verb](store, 'x'), 4, new RegExp(`could not ${verb} s3://bucket/`), advice);
}

const REGION = { elements: '<Region>eu-west-3</Region>', headers: { 'x-amz-bucket-region': 'eu-west-3' } };

test('a wrong region is told apart, and the right one is named', async () => {
  await says(() => answers(400, 'AuthorizationHeaderMalformed', REGION), /→ set AWS_REGION=eu-west-3/, [
    'list',
    'read',
    'look at',
  ]);
  await says(() => answers(301, 'PermanentRedirect', REGION), /→ set AWS_REGION=eu-west-3/, [
    'list',
    'look at',
  ]);
  await says(() => answers(301, 'PermanentRedirect'), /→ the bucket is not in AWS_REGION=us-east-1/, [
    'list',
    'look at',
  ]);
});

test('the codes of keys, rights, clocks and limits each have their own advice', async () => {
  const cases: [status: number, code: string, advice: RegExp][] = [
    [400, 'ExpiredToken', /→ the temporary keys are no longer valid/],
    [403, 'InvalidAccessKeyId', /→ the store does not know AWS_ACCESS_KEY_ID/],
    [403, 'SignatureDoesNotMatch', /→ .*both must be of one key/],
    [404, 'NoSuchBucket', /→ check S3_BUCKET/],
    [403, 'InvalidObjectState', /→ the object is archived/],
    [503, 'SlowDown', /→ the store limits requests/],
    [418, 'ShortAndStout', /ShortAndStout.*418[\s\S]*→ no advice is known/],
  ];
  for (const [status, code, advice] of cases)
    await says(() => answers(status, code), advice, ['list', 'read']);
  await says(() => answers(403, 'AccessDenied'), /→ .* needs s3:ListBucket/, ['list']);
  await says(() => answers(403, 'AccessDenied'), /→ .* needs s3:GetObject and s3:ListBucket/, ['look at']);
  await says(() => answers(403, 'AccessDenied'), /→ .* needs s3:DeleteObject/, ['delete']);
});

test('an answer that is not S3’s, and a place where nothing listens', async () => {
  const page: () => Fault =
    () =>
    ({ outgoing }) =>
      outgoing.end('<!doctype html><p>Hello<p>') as never;
  await says(page, /→ this is not an answer of S3/, ['list']);
  const store = await open({ S3_ENDPOINT: 'http://127.0.0.1:1' });
  await refused(() => listObjects(store, 'x'), 4, /ECONNREFUSED[\s\S]*→ nothing listens there/);
});

test('a session token goes with each request', async () => {
  proxy.fault = () => answers(403, 'AccessDenied');
  const store = await open({ AWS_SESSION_TOKEN: 'token-of-a-test' });
  proxy.seen.length = 0;
  await refused(() => listObjects(store, 'x'), 4);
  assert.is(proxy.seen[0]!.headers['x-amz-security-token'], 'token-of-a-test');
});

test('the proxy stops', proxy.stop);

test.run();
