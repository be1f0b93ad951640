/**
 * A backend that answers as its query says, for what the reference application never does. It is put in the place
 * of the backends as a script would put it there: by the upstream list and a reload.
 *
 *   ?status=503           the status, 200 unless told
 *   ?header=Name:value    a header of the answer, as often as needed
 *   ?type=text/html       its type, JSON unless told
 *   ?wait=100             milliseconds until it answers
 *   ?together=10          it answers when so many such requests are open, or after four seconds
 *   ?hold                 it answers when it is asked for ?release, or after a minute
 *   ?long=12000           bytes of a header X-Long of the answer
 *   ?size=5000            bytes of the body's padding
 *
 * The body is JSON: how many requests have come so far, how many are held, the most that were open together, and
 * what this one was.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stack } from './stack.ts';

const PUPPET = `
  const http = require('node:http');
  let count = 0;
  let most = 0;
  const together = new Set();
  const held = new Set();
  /** Until somebody calls what is put into the set, or the time is over. */
  const wait = (set, ms) => new Promise(resolve => {
    const go = () => { clearTimeout(timer); set.delete(go); resolve(); };
    const timer = setTimeout(go, ms);
    set.add(go);
  });
  const all = set => { for (const go of [...set]) go(); };
  http.createServer(async (request, response) => {
    const { searchParams } = new URL(request.url, 'http://puppet');
    count++;
    request.resume();
    if (searchParams.has('release')) all(held);
    if (searchParams.has('hold')) await wait(held, 60_000);
    if (searchParams.has('wait')) await wait(new Set(), Number(searchParams.get('wait')));
    if (searchParams.has('together')) {
      const answer = wait(together, 4000);
      most = Math.max(most, together.size);
      if (together.size >= Number(searchParams.get('together'))) all(together);
      await answer;
    }
    response.statusCode = Number(searchParams.get('status') ?? 200);
    response.setHeader('Content-Type', searchParams.get('type') ?? 'application/json');
    for (const header of searchParams.getAll('header')) {
      const [name, value] = header.split(/:(.*)/);
      response.appendHeader(name, value);
    }
    if (searchParams.has('long')) response.setHeader('X-Long', 'x'.repeat(Number(searchParams.get('long'))));
    const padding = 'x'.repeat(Number(searchParams.get('size') ?? 0));
    const { method, headers } = request;
    response.end(JSON.stringify({ count, held: held.size, most, method, headers, padding }));
  }).listen(3000);
`;

/** Starts it; `backendsAre(stack, [puppet])` puts it in place. */
export async function startPuppet(stack: Stack): Promise<string> {
  const name = await runBeside(stack, 'puppet', PUPPET);
  const listens = `until (exec 3<>/dev/tcp/${name}/3000) 2>/dev/null; do sleep 0.05; done`;
  const { code } = await stack.exec('nginx', 'timeout', '60', 'bash', '-c', listens);
  if (code !== 0) throw new Error('the puppet does not listen');
  return name;
}

/** Asks it past Nginx. @returns its answer */
// biome-ignore lint/suspicious/noExplicitAny: the tests look at single fields
export async function askPuppet(stack: Stack, puppet: string, query: string): Promise<any> {
  const { code, stdout, stderr } = await stack.exec(
    'nginx',
    'curl',
    '-fsS',
    `http://${puppet}:3000/?${query}`,
  );
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Runs a program of Node in a container beside the backends. @returns the container's name */
export async function runBeside(stack: Stack, role: string, program: string): Promise<string> {
  const name = `${stack.app}-${role}`;
  stack.atExit(['rm', '--force', name]);
  const network = `${stack.app}-${stack.environment}_app`;
  const run = ['run', '--detach', '--rm', '--name', name, '--network', network];
  await stack.docker(...run, stack.variables.BACKEND_IMAGE!, 'node', '-e', program);
  return name;
}

/** Lists of servers, as text. */
type Lists = Partial<Record<'backend' | 'frontend', string>>;

export function serverLines(names: string[]): string {
  return names.map(name => `server ${name}:3000 weight=1 max_fails=0 route=${name} resolve;\n`).join('');
}

/** Makes these the backends. */
export async function backendsAre(stack: Stack, names: string[]): Promise<void> {
  await upstreamsAre(stack, { backend: serverLines(names) });
}

/** @returns the list as it was */
export async function upstreamIs(stack: Stack, name: 'backend' | 'frontend', text: string): Promise<string> {
  return (await upstreamsAre(stack, { [name]: text }))[name]!;
}

/**
 * Writes upstream lists as a script would: a new file in the old one's place, tested, then a reload.
 * @returns the lists as they were
 */
export async function upstreamsAre(stack: Stack, lists: Lists): Promise<Lists> {
  const before: Lists = {};
  for (const name of Object.keys(lists) as (keyof Lists)[]) {
    const file = join(stack.directory, 'nginx/upstreams', `${name}.conf`);
    before[name] = readFileSync(file, 'utf8');
    writeFileSync(`${file}.new`, lists[name]!);
    renameSync(`${file}.new`, file);
  }
  await reload(stack);
  return before;
}

/** Does something while the lists are these; then they are what they were, whatever came of it. */
export async function withUpstreams(stack: Stack, lists: Lists, body: () => Promise<void>): Promise<void> {
  const before = await upstreamsAre(stack, lists);
  try {
    await body();
  } finally {
    await upstreamsAre(stack, before);
  }
}

/** Tests the configuration, reloads, and waits until no worker of before takes new connections. */
export async function reload(stack: Stack): Promise<void> {
  // A worker that is leaving says so in its title.
  const script = `
    workers() { grep -lz "^nginx: worker process$" /proc/[0-9]*/cmdline | sort; }
    nginx -t && before=$(workers) && nginx -s reload || exit 1
    for i in $(seq 600); do
      now=$(workers)
      [ -n "$now" ] && [ -z "$(comm -12 <(echo "$before") <(echo "$now"))" ] && exit
      sleep 0.05
    done
    echo "Nginx still uses its old workers after a reload" >&2
    exit 1`;
  const { code, stderr } = await stack.exec('nginx', 'bash', '-c', script);
  if (code !== 0) throw new Error(stderr);
}
