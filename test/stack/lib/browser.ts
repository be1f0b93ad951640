/** Pages in a real browser: Chromium, which is told what to do through a pipe, and which finds the stack by its names. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { install, whyNoPackages } from '../../engine/apt.ts';
import { attempt } from '../../engine/process.ts';
import type { Cloudflare } from './cloudflare.ts';
import { hostOf } from './http.ts';
import type { Stack } from './stack.ts';

/** Debian's, without a window: 100 MB to download. */
const PACKAGE = 'chromium-headless-shell';
const PROGRAMS = [PACKAGE, 'chromium', 'google-chrome'];
/** Milliseconds for one command, longer than any time-out of Nginx. */
const LIMIT = 60_000;

// biome-ignore lint/suspicious/noExplicitAny: what a command gives depends on it
type Command = (method: string, params?: object, sessionId?: string) => Promise<any>;
interface Failure {
  sessionId: string;
  params: { errorText: string; corsErrorStatus?: { corsError: string } };
}
const NETWORK_CHANGED = 'net::ERR_NETWORK_CHANGED';

export interface Page {
  /**
   * Evaluates an expression in the page, waits for its promise, and gives its value, which JSON can hold. It does so
   * again when a network has come or gone meanwhile.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the value is the test's own
  run(expression: string): Promise<any>;
  /** Why requests of the page failed that are not answered, or not to be read: `net::ERR_…` or a CORS error's name. */
  failures: string[];
  setCookie(cookie: { name: string; value: string; domain: string }): Promise<void>;
}

export interface Browser {
  /** Opens a page, in which nobody is logged in to anything. */
  open(url: string): Promise<Page>;
}

/** Starts Chromium, for the life of this process. @throws where there is none and none can be installed */
export async function startBrowser(stack: Stack, cloudflare: Cloudflare): Promise<Browser> {
  const chromium = await haveChromium();
  const profile = mkdtempSync(join(tmpdir(), 'browser-'));
  const { enter, address } = await place(stack, cloudflare);
  const here = (['site', 'www', 'api'] as const).map(part => `MAP ${hostOf(stack, part)} ${address}`);
  const args = [
    ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
    ...['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    // A page of no address may ask for one of this machine, if the API says so.
    '--disable-features=LocalNetworkAccessChecks',
    ...['--ignore-certificate-errors', `--user-data-dir=${profile}`, '--remote-debugging-pipe'],
    // No other name is looked up.
    `--host-resolver-rules=${[...here, 'MAP * ~NOTFOUND'].join(', ')}`,
  ];
  const [program, ...rest] = [...enter, chromium, ...args];
  const child = spawn(program!, rest, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  process.once('exit', () => {
    child.kill('SIGKILL');
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  child.unref();
  for (const pipe of child.stdio) (pipe as Socket | null)?.unref();
  const pages = new Map<string, string[]>();
  const command = commandsOf(child, ({ sessionId, params: { errorText, corsErrorStatus } }) =>
    pages.get(sessionId)?.push(corsErrorStatus?.corsError ?? errorText),
  );
  return {
    async open(url) {
      const { browserContextId } = await command('Target.createBrowserContext');
      const { targetId } = await command('Target.createTarget', { url: 'about:blank', browserContextId });
      const { sessionId } = await command('Target.attachToTarget', { targetId, flatten: true });
      const failures: string[] = [];
      pages.set(sessionId, failures);
      await command('Network.enable', {}, sessionId);
      const { errorText } = await command('Page.navigate', { url }, sessionId);
      if (errorText) throw new Error(`the browser can't open ${url}: ${errorText}`);
      const page: Page = {
        failures,
        async run(expression) {
          const options = { awaitPromise: true, returnByValue: true };
          for (let tries = 1; ; tries++, await sleep(100)) {
            failures.length = 0;
            const answer = await command('Runtime.evaluate', { expression, ...options }, sessionId);
            if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception.description);
            if (tries === 5 || !failures.includes(NETWORK_CHANGED)) return answer.result.value;
          }
        },
        async setCookie(cookie) {
          const all = { ...cookie, path: '/', secure: true };
          await command('Storage.setCookies', { cookies: [all], browserContextId });
        },
      };
      // A command before the document is there would be the blank page's.
      await page.run(
        "new Promise(r => document.readyState === 'complete' ? r() : addEventListener('load', () => r()))",
      );
      return page;
    },
  };
}

/**
 * Where it runs. Chromium ends all its requests when a network of its machine comes or goes, as with each container of
 * another test. So root lets it see only those of a container that stays.
 */
async function place(stack: Stack, cloudflare: Cloudflare): Promise<{ enter: string[]; address: string }> {
  if (process.getuid?.() !== 0) return { enter: [], address: `127.0.0.1:${stack.httpsPort}` };
  const pid = await stack.docker('inspect', '--format', '{{.State.Pid}}', cloudflare.forwarder);
  return { enter: ['nsenter', '--target', pid, '--net'], address: `${cloudflare.nginx}:443` };
}

async function haveChromium(): Promise<string> {
  for (const program of PROGRAMS) if ((await attempt(program, ['--version'])).code === 0) return program;
  const obstacle = whyNoPackages();
  if (obstacle)
    throw new Error(`Chromium is not installed, and can't be because ${obstacle}\nInstall ${PROGRAMS[1]}`);
  await install([PACKAGE]);
  return PACKAGE;
}

/** The DevTools protocol over descriptors 3 and 4: JSON, with a zero byte after each message. */
function commandsOf(child: ChildProcess, onFailure: (failure: Failure) => void): Command {
  const [input, output] = [child.stdio[3] as Socket, child.stdio[4] as Socket];
  // biome-ignore lint/suspicious/noExplicitAny: see Command
  const waiting = new Map<number, { resolve: (result: any) => void; reject: (error: Error) => void }>();
  let text = '';
  let last = 0;
  output.setEncoding('utf8').on('data', chunk => {
    const messages = `${text}${chunk}`.split('\0');
    text = messages.pop()!;
    for (const message of messages) {
      const { id, result, error, method, ...event } = JSON.parse(message);
      if (method === 'Network.loadingFailed') onFailure(event);
      if (error) waiting.get(id)?.reject(new Error(error.message));
      else waiting.get(id)?.resolve(result);
      waiting.delete(id);
    }
  });
  const end = (why: string) => {
    for (const { reject } of waiting.values()) reject(new Error(why));
  };
  child.once('error', error => end(error.message)).once('exit', code => end(`Chromium has ended (${code})`));
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      const timer = setTimeout(() => reject(new Error(`no answer to ${method} in ${LIMIT} ms`)), LIMIT);
      const settle = () => {
        clearTimeout(timer);
        waiting.delete(id);
      };
      waiting.set(id, {
        resolve(result) {
          settle();
          resolve(result);
        },
        reject(error) {
          settle();
          reject(error);
        },
      });
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    });
}
