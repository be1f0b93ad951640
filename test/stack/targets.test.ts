import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRandom } from '../support/core/random.ts';
import { compare } from './lib/compared.ts';
import { PROTOCOLS, read } from './lib/readings.ts';
import { ROUTES } from './lib/routes.ts';
import { type Reader, withReaders } from './lib/two-readers.ts';

const LOGIN = ROUTES.login!.location;

/** Each was read in two ways once, or could be: what it reached without the rules of the plain path. */
const REFUSED: [method: string, text: string][] = [
  ['POST', '/api/v1/auth\\login#'],
  ['GET', '/api/v1\\metrics#'],
  ['GET', '/api/v1/auth\\verify?token=t#'],
  ['GET', '/api/v1/auth\\verify?token=t'],
  ['POST', '/api/v1\\auth\\login#/../../articles'],
  ['GET', '/api/v1/auth/verify/..%2f..%2farticles?token=t'],
  ['GET', '/api/v1/auth/../articles?token=t'],
  ['GET', '/api/v1/auth/%2e%2E/articles?token=t'],
  ['POST', '/api/v1/auth/login%0A'],
  ['POST', '/api/v1/auth/login%00'],
  ['POST', '/api/v1//auth/login'],
  ['POST', '/api/v1/auth/%6Cogin'],
  ['GET', '/api/v1/%6detrics'],
  ['GET', '/socket.io/../api/v1/metrics'],
  ['GET', '/API/v1/auth%5cverify'],
];

/** What browsers and libraries send, and what it reaches. */
const PASSED: [method: string, text: string, route: string][] = [
  ['GET', '/api/v1/articles/caf%C3%A9-%E2%82%AC', 'article'],
  ['GET', '/api/v1/articles/a%20b+c%2Bd', 'article'],
  ['GET', '/api/v1/articles/a:b@c~d,e;f=g', 'article'],
  ['GET', "/api/v1/articles/a..b...c!$&'()*=", 'article'],
  ['GET', '/api/v1/articles/..a', 'article'],
  ['GET', '/api/v1/articles/50%25-off%3F%23%5B1%5D', 'article'],
  ['GET', '/api/v1/articles/%252e%252F', 'article'],
  ['GET', '/api/v1/articles/', 'articles'],
  ['GET', '/api/v1/ARTICLES', 'articles'],
  ['GET', '/api/v1/search?next=%2F..%2Fa%5Cb%00%0A%2e&x=//../.&q=a\\b', 'api'],
  ['GET', '/api/v1/search?q=%E4%BD%A0%E5%A5%BD&tag=a%23b&e=a@b.de', 'api'],
  ['GET', '/api/v1/auth/verify?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dQw4w9WgXcQ-_x', 'verify'],
  ['GET', '/api/v1/auth/github/callback?code=4%2F0AX4&state=%2Fsettings%3Fa%3D1', 'provider'],
  ['POST', '/api/v1/auth/LOGIN/', 'login'],
  ['POST', '/api/v1/uploads/R%C3%A9sum%C3%A9%20(final).v2.pdf', 'uploads'],
  ['GET', '/socket.io/?EIO=4&transport=polling&t=Oq7x.2&sid=a-b_c', 'socket'],
];

/** Addresses of pages: what the frontend's Nginx reads as this one does. */
const PAGES = [
  '/',
  '/search/a%2Fb',
  '/a%5Cb',
  '//about',
  '/%61bout',
  '/profil/J%C3%BCrgen',
  '/a..b',
  '/?q=/../\\',
];
const NO_PAGES = [
  '/a\\b',
  '/#a',
  '/assets/../index.html',
  '/assets/%2e%2e/index.html',
  '/a%2f..%2fb',
  '/a%0Ab',
];

test('Nginx and Express 4 and 5 read a request target alike, or it is refused', () =>
  withReaders(async readers => {
    for (const reader of readers) {
      await plain(reader);
      await listed(reader);
      await pages(reader);
      await compare(reader, createRandom(1), 1_000);
    }
  }));

/** So that what the others show is not that everything is refused. */
async function plain(reader: Reader): Promise<void> {
  const targets = Object.values(ROUTES).map(({ method, target }) => ({ method, text: target }));
  for (const protocol of PROTOCOLS) {
    const readings = await read(reader, protocol, targets);
    for (const [index, [name, { location }]] of Object.entries(ROUTES).entries()) {
      const { route, location: taken, cached } = readings[index]!;
      const expected = { route: name === 'metrics' ? '' : name, location, cached: location === '/api/' };
      assert.equal({ route, location: taken, cached }, expected, `${reader.name} ${name}`);
    }
  }
}

async function listed(reader: Reader): Promise<void> {
  for (const protocol of PROTOCOLS) {
    const where = `${reader.name}, ${protocol}: `;
    const targets = [...REFUSED, ...PASSED].map(([method, text]) => ({ method, text }));
    const readings = await read(reader, protocol, targets);
    for (const [index, [, text]] of REFUSED.entries()) {
      const { status, route, cached } = readings[index]!;
      assert.equal({ status, route, cached }, { status: 400, route: '', cached: false }, where + text);
    }
    for (const [index, [, text, name]] of PASSED.entries()) {
      const { status, route, target, location } = readings[REFUSED.length + index]!;
      assert.equal({ status, route, target }, { status: 200, route: name, target: text }, where + text);
      assert.is(location === LOGIN, name === 'login', where + text);
    }
  }
}

async function pages(reader: Reader): Promise<void> {
  const targets = [...PAGES, ...NO_PAGES].map(text => ({ method: 'GET', text }));
  for (const protocol of PROTOCOLS) {
    const readings = await read(reader, protocol, targets, reader.site);
    for (const [index, { status, target }] of readings.map(reading => reading!).entries()) {
      const { text } = targets[index]!;
      const expected = index < PAGES.length ? { status: 200, target: text } : { status: 400, target: '' };
      assert.equal({ status, target }, expected, `${reader.name}, ${protocol}, page ${text}`);
    }
  }
}

test.run();
